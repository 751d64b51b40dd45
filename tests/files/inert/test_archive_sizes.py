"""Archives that expand to many times their size are refused, and never expanded."""

import pathlib
import tracemalloc
import zipfile

import numpy as np
import pytest

from ganspace_jax.directions import components, foreign_files
from ganspace_jax.errors import InputError
from ganspace_jax.files.inert import archive_sizes, numpy_files
from tests import commands

GOLDEN = pathlib.Path(__file__).parents[2] / "golden" / "published" / "ffhq_pca.npz"


@pytest.fixture(scope="module")
def bomb(tmp_path_factory):
    """A published components file with an unused array of 600 MB in 0.6 MB."""
    path = tmp_path_factory.mktemp("bomb") / "bomb.npz"
    with np.load(GOLDEN) as arrays:
        np.savez_compressed(path, **arrays, z=np.zeros((2, 64), np.float32))
    with (
        zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive,
        archive.open("unused.npy", "w", force_zip64=True) as member,
    ):
        header = {"descr": "<f4", "fortran_order": False, "shape": (150_000_000,)}
        np.lib.format.write_array_header_1_0(member, header)
        for _ in range(600):
            member.write(bytes(1_000_000))
    return path


@pytest.mark.parametrize("read", [components.load, foreign_files.load_components, numpy_files.read])
def test_a_bomb_is_refused_and_not_expanded(bomb, read):
    assert bomb.stat().st_size < 2_000_000
    tracemalloc.start()
    with pytest.raises(InputError, match=r"bomb.npz: damaged: a file of 0.\d MB that expands to 600.\d MB"):
        read(bomb)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**20


def test_latents_of_a_bomb_are_refused(bomb, tmp_path):
    result = commands.run("generate", f"--latents={bomb}", f"--workdir={tmp_path / 'new'}")
    assert result.returncode == 1 and "that expands to 600" in result.stderr and "Traceback" not in result.stderr


def test_archives_up_to_the_bounds_are_read(tmp_path, monkeypatch):
    numbers = np.zeros(100_000, np.uint8)
    np.savez_compressed(tmp_path / "a.npz", numbers=numbers)
    assert numpy_files.read(tmp_path / "a.npz")["numbers"].shape == numbers.shape
    monkeypatch.setattr(archive_sizes, "FREE_BYTES", 100_128)
    assert numpy_files.read(tmp_path / "a.npz")["numbers"].shape == numbers.shape
    monkeypatch.setattr(archive_sizes, "FREE_BYTES", 100_127)
    with pytest.raises(InputError, match="expands to 0.1 MB"):
        numpy_files.read(tmp_path / "a.npz")
    monkeypatch.setattr(archive_sizes, "MAX_GROWTH", 10_000)
    assert numpy_files.read(tmp_path / "a.npz")["numbers"].shape == numbers.shape


def test_an_index_that_hides_members_is_refused(tmp_path):
    """One damaged length in the index makes zipfile skip what follows."""
    path = tmp_path / "a.npz"
    np.savez(path, **{name: np.zeros(2) for name in "abcd"})
    data = bytearray(path.read_bytes())
    entry = data.index(b"PK\x01\x02", data.index(b"PK\x01\x02") + 1)  # of b
    data[entry + 33] = 1  # its comment seems to have 256 bytes
    path.write_bytes(data)
    with np.load(path) as file:
        assert file.files == ["a", "b"]
    with pytest.raises(InputError, match="a.npz: damaged: an archive whose index lists 2 of 4 members"):
        numpy_files.read(path)
