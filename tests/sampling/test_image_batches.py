"""Images of given latents: what goes in comes out as the reference computes it, and
what does not fit is refused.
"""

import os
import zipfile

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ganspace_jax.directions import components
from ganspace_jax.errors import InputError
from ganspace_jax.generators import base, biggan_deep, dcgan
from ganspace_jax.generators.synthesis import Synthesis
from ganspace_jax.run import Run
from ganspace_jax.sampling import image_batches, latent_files, latents
from tests.golden_arrays import error, load, stylegan2_generator


@pytest.fixture(scope="module")
def golden():
    arrays = load("stylegan2_ada_cifar32")
    return arrays, stylegan2_generator(arrays)


@pytest.fixture(scope="module")
def biggan():
    config = biggan_deep.Config(4, 3, 8, ((True, 4, 2),), attention_position=-1, num_statistics=3)
    return base.split(biggan_deep.BigGANDeep(config, key=jax.random.key(0)))


def _write(tmp_path, **arrays):
    np.savez(tmp_path / "in.npz", **arrays)
    return tmp_path / "in.npz"


def _made(generator, inputs, batch_size=16, activations=(), **settings):
    run = Run(batch_size=batch_size)
    batches = list(image_batches.generate(generator, inputs, Synthesis(**settings), activations, run))
    return {name: np.concatenate([batch[name] for batch in batches]) for name in batches[0]}


def test_a_file_of_z_gives_the_reference_images(golden, tmp_path):
    """Two batches of unequal size; image and activation of every sample, w before
    truncation.
    """
    arrays, generator = golden
    path = _write(tmp_path, z=arrays["input/z"], label=arrays["input/label"])
    inputs = latent_files.from_file(generator, path, None)
    made = _made(generator, inputs, batch_size=2, activations=("b8.conv1",))
    assert error(jnp.asarray(made["image"]), arrays["output/image"]) < 1e-4
    assert error(jnp.asarray(made["b8.conv1"]), arrays["output/act/synthesis.b8.conv1"]) < 1e-4
    assert error(jnp.asarray(inputs.w), arrays["output/w"]) < 1e-4
    truncated = _made(generator, inputs, truncation_psi=0.5, truncation_cutoff=4)
    assert error(jnp.asarray(truncated["image"]), arrays["output/image_psi0.5_cutoff4"]) < 1e-4
    assert error(jnp.asarray(_made(generator, inputs, noise="none")["image"]), arrays["output/image_noise_none"]) < 1e-4


def test_a_file_of_layer_latents_gives_the_reference_images(golden, tmp_path):
    arrays, generator = golden
    ws = arrays["input/ws"]
    inputs = latent_files.from_file(generator, _write(tmp_path, ws=ws, label=arrays["input/label"][: len(ws)]), None)
    assert inputs.w is None
    assert error(jnp.asarray(_made(generator, inputs)["image"]), arrays["output/image_ws"]) < 1e-4


def test_random_noise_is_its_seeds_and_the_samples_own(golden):
    _, generator = golden
    inputs = latent_files.from_seeds(generator, [3, 3], 0, 1.0)
    once, again, other = (_made(generator, inputs, noise=seed)["image"] for seed in (1, 1, 2))
    np.testing.assert_array_equal(once, again)
    assert np.abs(once - other).max() > 1e-3 and np.abs(once[0] - once[1]).max() > 1e-3


def test_latents_of_a_file_are_used_as_they_are(biggan, tmp_path):
    """BigGAN: the truncation of seeds scales z; that of a file's z only chooses the
    statistics.
    """
    z = latents.from_seeds([1, 2], 4, "truncated_normal")
    from_file = latent_files.from_file(biggan, _write(tmp_path, z=z), 2)
    np.testing.assert_array_equal(from_file.latents[:, 0], z)
    from_seeds = latent_files.from_seeds(biggan, [1, 2], 2, 0.5)
    np.testing.assert_allclose(from_seeds.latents[:, 0], 0.5 * z, rtol=1e-6)
    np.testing.assert_array_equal(from_seeds.label, from_file.label)
    np.testing.assert_array_equal(from_file.label, [[0, 0, 1], [0, 0, 1]])
    assert from_file.w is None


def test_all_takes_the_classes_in_turn(biggan):
    inputs = latent_files.from_seeds(biggan, [1, 2, 3, 4], "all", 1.0)
    np.testing.assert_array_equal(inputs.label.argmax(1), [0, 1, 2, 0])
    assert inputs.names == ["seed0001", "seed0002", "seed0003", "seed0004"]


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"z": np.zeros((2, 5))}, r"it holds z \[2, 5\]; this generator needs \[n, 4\] \(z\) or \[n, 2, 4\]"),
        ({"z": np.zeros((0, 4))}, r"z \[0, 4\] is empty"),
        ({"ws": np.zeros((1, 3, 4))}, r"it holds ws \[1, 3, 4\]; this generator needs .*\[n, 2, 4\] \(z of 2 layers\)"),
        ({"z": np.zeros((2, 4)), "ws": np.zeros((2, 2, 4))}, "must hold either z or ws"),
        ({"w": np.zeros((2, 5))}, r"it holds w \[2, 5\]"),
        ({"z": np.zeros((2, 4))}, "holds no label"),
        ({"z": np.zeros((2, 4)), "label": np.zeros((1, 3))}, r"label has shape \(1, 3\), .* \(2, 3\)"),
        ({"z": np.full((2, 4), np.nan)}, r"z \[2, 4\] contains NaN"),
        ({"z": np.array([{}])}, "it holds no array of latents, but z"),
        ({"z": np.full((2, 4), "a")}, "it holds no array of latents, but z"),
    ],
)
def test_files_that_do_not_fit_are_refused(biggan, tmp_path, arrays, message):
    with pytest.raises(InputError, match=rf"--latents=\S+in.npz: .*{message}"):
        latent_files.from_file(biggan, _write(tmp_path, **arrays), None)


def _hostile_files(directory):
    """Files of NumPy's kind, each of which raises something else within NumPy, zipfile
    or zlib.
    """
    np.savez_compressed(directory / "sound.npz", z=np.random.default_rng(0).normal(size=(40, 40)))
    sound = (directory / "sound.npz").read_bytes()
    yield "text.npz", b"no arrays", "neither an .npz nor an .npy"
    yield "damaged.npz", sound[:300] + b"\xff" * 40 + sound[340:], "not a sound file"
    entry = sound.index(b"PK\x01\x02")
    for name, place, value in (("encrypted.npz", 8, 1), ("method.npz", 10, 99)):
        changed = bytearray(sound)
        changed[entry + place] = changed[place - 2] = value
        yield name, bytes(changed), "not a sound file"
    for name, shape, code, said in (
        ("huge.npy", (10**15,), "<f4", "asks for more memory than there is"),
        ("longer.npy", (10**30,), "<f4", "not a sound file"),
        ("widthless.npy", (10**15,), "|S0", "something else than arrays of numbers and text"),
    ):
        with open(directory / name, "wb") as file:
            np.lib.format.write_array_header_1_0(file, {"descr": code, "fortran_order": False, "shape": shape})
        yield name, (directory / name).read_bytes(), said
    with zipfile.ZipFile(directory / "other.npz", "w") as archive:
        archive.writestr("z.npy", b"no array")
    yield "other.npz", (directory / "other.npz").read_bytes(), "something else than arrays of numbers and text"


def test_damaged_files_are_refused_in_one_line_whoever_reads_them(biggan, tmp_path):
    for name, data, message in _hostile_files(tmp_path):
        (tmp_path / name).write_bytes(data)
        for read in (lambda path: latent_files.from_file(biggan, path, None), components.load):
            with pytest.raises(InputError, match=rf"{name}: .*{message}") as caught:
                read(tmp_path / name)
            assert len(str(caught.value).splitlines()) == 1
    os.mkfifo(tmp_path / "pipe.npz")
    with pytest.raises(InputError, match=r"--latents=\S+pipe\.npz: is no regular file"):
        latent_files.from_file(biggan, tmp_path / "pipe.npz", None)


def test_settings_that_do_not_fit_are_refused(biggan):
    inputs = latent_files.from_seeds(biggan, [1], 0, 1.0)
    with pytest.raises(InputError, match="--activations=b8: this generator has no such layer; did you mean 'bn'"):
        _made(biggan, inputs, activations=("b8",))
    with pytest.raises(InputError, match="--truncation_cutoff=2"):
        _made(biggan, inputs, truncation_cutoff=2)
    for psi in (0.0, 1.5):
        with pytest.raises(InputError, match=f"--truncation_psi={psi}: must be above 0"):
            _made(biggan, inputs, truncation_psi=psi)
    with pytest.raises(InputError, match="neither an .npz nor an .npy"):
        latent_files.from_file(biggan, __file__, None)
    with pytest.raises(InputError, match="no such file"):
        latent_files.from_file(biggan, "missing.npz", None)


def test_truncation_where_there_is_none_is_refused():
    """Rather than changing nothing in silence."""
    generator = base.split(dcgan.DCGAN(dcgan.Config(4, (8, 4)), key=jax.random.key(0)))
    with pytest.raises(InputError, match="--truncation_psi=0.5: this generator has no truncation"):
        _made(generator, latent_files.from_seeds(generator, [1], None, 1.0), truncation_psi=0.5)


def test_seeds_are_numbers_and_ranges():
    assert latents.parse_seeds(["1", "4-6", "0"]) == [1, 4, 5, 6, 0]
    for text in ("-1", "3-1", "x", "1-", str(2**32)):
        with pytest.raises(InputError, match="--seeds="):
            latents.parse_seeds([text])
