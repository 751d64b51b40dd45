"""The catalogue of published checkpoints: what must hold for every entry, and how names are found."""

import os
import pathlib
import re
import subprocess
import sys
import urllib.parse

import pytest

from checkpoints_convert import catalogue
from ganspace_jax.errors import InputError
from ganspace_jax.generators import zoo

ROOT = pathlib.Path(__file__).parents[2]


def test_names_are_unique_and_can_be_typed():
    assert len(catalogue.CATALOGUE) == len(catalogue.PUBLISHED) > 0
    for name, one in catalogue.CATALOGUE.items():
        assert one.name == name and re.fullmatch("[a-z0-9]+(-[a-z0-9]+)+", name)


@pytest.mark.parametrize("one", catalogue.PUBLISHED, ids=lambda one: one.name)
def test_an_entry_is_complete(one):
    assert one.family in zoo.FAMILIES
    assert one.resolution in (32, 128, 256, 512, 1024)
    assert one.licence and re.match(r"[\w-]+/[\w.-]+, \S+", one.documented)
    assert len({file.name for file in one.files}) == len(one.files) > 0
    for file in one.files:
        assert pathlib.PurePath(file.name).name == file.name and file.addresses
        assert file.size is None or file.size > 0
        assert file.sha256 is None or re.fullmatch("[0-9a-f]{64}", file.sha256)
        for address in file.addresses:
            parts = urllib.parse.urlsplit(address)
            assert parts.scheme == "https" and parts.netloc and parts.path not in ("", "/")


def test_no_address_and_no_checksum_serves_two_files():
    files = [file for one in catalogue.PUBLISHED for file in one.files]
    for values in ([a for f in files for a in f.addresses], [f.sha256 for f in files if f.sha256]):
        assert len(set(values)) == len(values)


def test_an_address_ends_in_the_resolution_and_the_name_of_its_entry():
    """NVIDIA's files are called after data set and resolution; an entry with another's file would show."""
    for one in catalogue.PUBLISHED:
        for address in one.files[0].addresses:
            data = one.name.split("-")[1 if one.family != "stylegan3" else 2]
            if match := re.search(r"(\w+)-(\d+)x\d+\.pkl$", address):
                assert match.groups() == (data, str(one.resolution))
            elif "-config-" in address:
                assert address.endswith(f"/{one.name}-config-f.pkl")


def test_biggan_has_its_weights_and_its_configuration():
    for one in catalogue.PUBLISHED:
        if one.family == "biggan_deep":
            assert [file.name for file in one.files] == ["pytorch_model.bin", "config.json"]
            assert all(f"/{one.name}-{file.name}" in file.addresses[0] for file in one.files)


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


def test_without_a_near_name_none_is_suggested():
    with pytest.raises(InputError) as raised:
        catalogue.find("/data/0001.zip")
    assert "did you mean" not in str(raised.value) and "--list" in str(raised.value)


def test_the_list_shows_every_name_and_address_and_wants_no_other_flag():
    command = [sys.executable, "-m", "checkpoints_convert", "--list"]
    environment = {**os.environ, "JAX_PLATFORMS": "cpu"}
    result = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    header, *lines = result.stdout.splitlines()
    assert header.split() == ["name", "family", "px", "licence", "MB", "address"]
    files = [(one, file) for one in catalogue.PUBLISHED for file in one.files]
    assert len(lines) == len(files)
    for line, (one, file) in zip(lines, files, strict=True):
        assert line.endswith(f" {file.addresses[0]}")
        if file is one.files[0]:
            assert line.split()[:3] == [one.name, one.family, str(one.resolution)]
