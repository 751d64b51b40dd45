"""The catalogue: properties of every entry, the lookup of names, and the
printed table.
"""

import os
import pathlib
import re
import subprocess
import sys
import urllib.parse

import pytest

from ganspace_jax.errors import InputError
from ganspace_jax.generators import catalogue, zoo

ROOT = pathlib.Path(__file__).parents[2]


def test_names_are_unique_and_contain_only_lower_case_words():
    assert len(catalogue.CATALOGUE) == len(catalogue.PUBLISHED) > 0
    for name, checkpoint in catalogue.CATALOGUE.items():
        assert checkpoint.name == name and re.fullmatch("[a-z0-9]+(-[a-z0-9]+)+", name)


@pytest.mark.parametrize("checkpoint", catalogue.PUBLISHED, ids=lambda checkpoint: checkpoint.name)
def test_an_entry_is_complete(checkpoint):
    assert checkpoint.family in zoo.FAMILIES
    assert checkpoint.resolution in (32, 128, 256, 512, 1024)
    assert checkpoint.licence and re.match(r"[\w-]+/[\w.-]+, \S+", checkpoint.documented)
    assert len({file.name for file in checkpoint.files}) == len(checkpoint.files) > 0
    for file in checkpoint.files:
        assert pathlib.PurePath(file.name).name == file.name and file.addresses
        assert file.size is None or file.size > 0
        assert file.sha256 is None or re.fullmatch("[0-9a-f]{64}", file.sha256)
        for address in file.addresses:
            url = urllib.parse.urlsplit(address)
            assert url.scheme == "https" and url.netloc and url.path not in ("", "/")


@pytest.mark.parametrize("checkpoint", catalogue.PUBLISHED, ids=lambda checkpoint: checkpoint.name)
def test_an_entry_names_the_source_of_its_checksums(checkpoint):
    has_checksums = any(file.size is not None or file.sha256 is not None for file in checkpoint.files)
    source = r"[\w-]+/[\w.-]+, \S+ \(.+\)" if has_checksums else ""
    assert re.fullmatch(source, checkpoint.checksums)


def test_no_two_files_have_an_address_or_a_checksum_in_common():
    addresses, checksums = [], []
    for checkpoint in catalogue.PUBLISHED:
        for file in checkpoint.files:
            addresses += file.addresses
            checksums += [file.sha256] if file.sha256 else []
    assert len(set(addresses)) == len(addresses) and len(set(checksums)) == len(checksums) > 0


def test_an_address_ends_in_the_resolution_and_the_name_of_its_entry():
    """Names of NVIDIA's files contain data set and resolution, so a swapped
    file shows.
    """
    num_matches = 0
    for checkpoint in catalogue.PUBLISHED:
        data = checkpoint.name.split("-")[2 if checkpoint.family == "stylegan3" else 1]
        for address in checkpoint.files[0].addresses:
            if match := re.search(r"(\w+)-(\d+)x\d+\.pkl$", address):
                assert match.groups() == (data, str(checkpoint.resolution))
            elif "-config-" in address:
                assert address.endswith(f"/{checkpoint.name}-config-f.pkl")
            else:
                continue
            num_matches += 1
    assert num_matches == 30


def test_biggan_has_its_weights_and_its_configuration():
    checkpoints = [checkpoint for checkpoint in catalogue.PUBLISHED if checkpoint.family == "biggan_deep"]
    assert len(checkpoints) == 3
    for checkpoint in checkpoints:
        assert [file.name for file in checkpoint.files] == ["pytorch_model.bin", "config.json"]
        assert all(f"/{checkpoint.name}-{file.name}" in file.addresses[0] for file in checkpoint.files)


def test_a_name_is_found():
    for name in (
        "stylegan-bedrooms",
        "stylegan2-ffhq",
        "stylegan2-ada-cifar10",
        "stylegan3-r-afhqv2",
        "progan-kitchen",
    ):
        assert catalogue.find(name) is catalogue.CATALOGUE[name]


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("stylegan2-fhq", "stylegan2-ffhq"),
        ("StyleGAN3-T-AFHQv2", "stylegan3-t-afhqv2"),
        ("biggan128", "biggan-deep-128"),
    ],
)
def test_the_nearest_names_are_suggested(typed, meant):
    with pytest.raises(InputError, match=rf"--source={typed}: no such file.*did you mean .*{meant}\b.*--list"):
        catalogue.find(typed)


def test_without_a_similar_name_there_is_no_suggestion():
    with pytest.raises(InputError) as raised:
        catalogue.find("/data/0001.zip")
    assert "did you mean" not in str(raised.value) and "--list" in str(raised.value)


def test_the_footnote_names_the_source_of_every_checksum():
    footnote = catalogue.table().split("\n\n")[1]
    for checkpoint in catalogue.PUBLISHED:
        if checkpoint.checksums:
            assert re.search(rf"\b{checkpoint.name}\b.*: {re.escape(checkpoint.checksums)}$", footnote, re.MULTILINE)
        else:
            assert not re.search(rf"(?<![\w-]){checkpoint.name}(?![\w-])", footnote)
    assert "biggan-deep-256: miloszkolber/uncanny_lab, " in footnote and "unrelated program" in footnote


def test_the_table_tells_which_files_cannot_be_checked():
    table, footnote = catalogue.table().split("\n\n")
    files = [file for checkpoint in catalogue.PUBLISHED for file in checkpoint.files]
    for line, file in zip(table.splitlines()[1:], files, strict=True):
        assert (" checked " in line, " unknown " in line) == (file.sha256 is not None, file.sha256 is None)
    unknown = sum(file.sha256 is None for file in files)
    assert 0 < unknown < len(files) and f"{unknown} of {len(files)} files cannot be checked" in footnote


def test_the_list_shows_every_name_and_address_and_requires_no_second_flag():
    command = [sys.executable, "-m", "checkpoints_convert", "--list"]
    environment = {**os.environ, "JAX_PLATFORMS": "cpu"}
    result = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert result.stdout == catalogue.table() + "\n"
    header, *lines = result.stdout.split("\n\n")[0].splitlines()
    columns = ["name", "family", "resolution (px)", "licence", "size (MB)", "SHA-256", "address"]
    assert re.split("  +", header) == columns
    files = [(checkpoint, file) for checkpoint in catalogue.PUBLISHED for file in checkpoint.files]
    for line, (checkpoint, file) in zip(lines, files, strict=True):
        assert line.endswith(f" {file.addresses[0]}")
        if file is checkpoint.files[0]:
            assert line.split()[:3] == [checkpoint.name, checkpoint.family, str(checkpoint.resolution)]
