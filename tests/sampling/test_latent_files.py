"""Latents of own pictures: every kind of file gives the latents that its writer meant,
one per picture, or is refused in one line.
"""

import pickle

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest

import ganspace_jax as gs
from ganspace_jax.errors import InputError
from ganspace_jax.generators import base, biggan_deep, dcgan, stylegan2, synthesis
from ganspace_jax.sampling import latent_files
from tests import tensor_files

LAYERS, WIDTH = 4, 6
RNG = np.random.default_rng(0)
WS = RNG.standard_normal((3, LAYERS, WIDTH)).astype(np.float32)
W = RNG.standard_normal((3, WIDTH)).astype(np.float32)
Z = RNG.standard_normal((3, 5)).astype(np.float32)
NOISES = [np.ones((1, 1, 4, 4), np.float32), np.ones((1, 1, 8, 8), np.float32)]


def _stylegan2(z_dim, **settings):
    config = stylegan2.Config(z_dim=z_dim, w_dim=WIDTH, channels=(4, 4), mapping_layers=2, **settings)
    return base.split(stylegan2.StyleGAN2(config, key=jax.random.key(0)))


@pytest.fixture(scope="module")
def generator():
    """Z has as many numbers as w, so that a size tells nothing."""
    return _stylegan2(WIDTH)


@pytest.fixture(scope="module")
def other_width():
    """Z has 5 numbers, w 6."""
    return _stylegan2(5)


@pytest.fixture(scope="module")
def biggan():
    config = biggan_deep.Config(4, 3, 8, ((True, 4, 2),), attention_position=-1, num_statistics=3)
    return base.split(biggan_deep.BigGANDeep(config, key=jax.random.key(0)))


def _write(path, content):
    """Writes arrays as an .npz or .npy, and everything else as a torch file."""
    if isinstance(content, np.ndarray):
        np.save(path / "me.npy", content)
        return path / "me.npy"
    tensor_files.write_torch(path / "me.pt", content)
    return path / "me.pt"


def _picture(latent):
    return {"img": np.ones((3, 8, 8), np.float32), "latent": latent, "noise": NOISES}


PER_LAYER = {
    "n pictures": (WS, 3),
    "one picture": (WS[:1], 1),
    "a row per layer": (WS[0], 1),
    "an axis too many": (WS[None], 3),
    "an axis between": (WS[:, None], 3),
    "double precision": (WS.astype(np.float64), 3),
    "ws": ({"ws": WS}, 3),
    "w of NVIDIA": ({"w": WS[:1], "args": {"seed": 3}}, 1),
    "dlatents": ({"dlatents": WS[:1]}, 1),
    "latents": ({"latents": WS, "names": ["a", "b", "c"]}, 3),
    "projected_w": ({"projected_w": WS[0]}, 1),
    "w+": ({"W+": WS[0], "other": WS[1]}, 1),
    "the only array": ({"whatever": WS, "text": "x", "noise": NOISES}, 3),
    "one of any key": ({"whatever": WS[0]}, 1),
    "list of any key": ({"whatever": [WS[0], WS[1]]}, 2),
    "dlatents beside latents": ({"latents": W, "dlatents": WS}, 3),
    "its mean beside": ({"code": WS, "latent_avg": W[0]}, 3),
    "noise maps by name": ({"w_opt": WS[:1], "noise_bufs": {"b4.conv1": np.ones((4, 4), np.float32)}}, 1),
    "in the optimiser too": ({"code": WS[:1], "optimizer": {"state": {0: {"exp_avg": WS[1:]}}}}, 1),
    "losses and seeds beside": ({"code": WS, "seeds": np.arange(6), "psi": [0.5] * 6, "step": 3}, 3),
    "a loss beside each": ({"a.png": [WS[0], np.array(0.1)], "b.png": [WS[1:2], np.array(0.1)]}, 2),
    "lists of numbers": ({"w": WS.tolist()}, 3),
    "lists of numbers alone": (WS.tolist(), 3),
    "deeper": ({"result": {"a.png": {"latent": WS[0]}, "A.PNG": {"latent": WS[1]}}, "loss": NOISES}, 2),
    "parameter": (tensor_files.Parameter(WS[:1]), 1),
    "list": ([WS[0], WS[1], WS[2]], 3),
    "list of ones": ([WS[:1], WS[1:2], WS[2:]], 3),
    "list with a key": ({"latent": [WS[0], WS[1]]}, 2),
    "by picture": ({"a.png": WS[0], "b.png": WS[1:2]}, 2),
    "projector": ({"a/first.png": _picture(WS[0]), "a/second.png": _picture(WS[1:2])}, 2),
    "older projector": ({"noises": NOISES, "a/first.png": _picture(WS[0])}, 1),
}


@pytest.mark.parametrize("kind", PER_LAYER)
def test_per_layer_latents_of_every_kind(generator, tmp_path, kind):
    content, count = PER_LAYER[kind]
    inputs = latent_files.from_file(generator, _write(tmp_path, content), None)
    np.testing.assert_array_equal(inputs.latents, WS[:count])
    assert inputs.latents.dtype == np.float32 and len(set(inputs.names)) == count
    assert inputs.w is None and inputs.z is None
    is_ambiguous = kind in ("a row per layer", "projected_w", "one of any key")
    assert len(inputs.notes) == is_ambiguous
    assert not is_ambiguous or "is one picture with a row per layer, not 4 pictures" in inputs.notes[0]


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16])
def test_half_precision_becomes_single(generator, tmp_path, dtype):
    rounded = WS.astype(dtype)
    np.testing.assert_array_equal(
        latent_files.from_file(generator, _write(tmp_path, {"w": rounded}), None).latents, rounded.astype(np.float32)
    )


def test_all_formats_hold_the_same(generator, tmp_path):
    np.savez(tmp_path / "a.npz", WS[0], WS[1])
    np.save(tmp_path / "b.npy", np.array({"x.png": WS[0], "y.png": WS[1]}, object))
    (tmp_path / "c.pkl").write_bytes(pickle.dumps([WS[0], WS[1]]))
    tensor_files.write_torch(tmp_path / "d.pt", WS[:2], legacy=True)
    tensor_files.write_safetensors(tmp_path / "e.safetensors", {"w": WS[:2]})
    for path in sorted(tmp_path.iterdir()):
        np.testing.assert_array_equal(latent_files.from_file(generator, path, None).latents, WS[:2])


STEPS = {
    "path.pt": {"latent_path": [WS[:1], WS[1:2], WS[2:]]},
    "w.pt": {"w_steps": WS},
    "me.pt": {"a.png": [WS[0], WS[1], WS[2]]},
    "latent_path.pt": [WS[:1], WS[1:2], WS[2:]],
    "w_history.pt": WS,
}


@pytest.mark.parametrize("name", STEPS)
def test_the_last_step_of_an_optimisation_is_used(generator, tmp_path, name):
    tensor_files.write_torch(tmp_path / name, STEPS[name])
    inputs = latent_files.from_file(generator, tmp_path / name, None)
    np.testing.assert_array_equal(inputs.latents, WS[2:])
    assert inputs.notes == ("it holds the steps of an optimisation: the last one is used",)


@pytest.mark.parametrize("content", [W, W[:, None], {"w": W}, {"dlatent": W}, {"latent": W}, [W[0], W[1], W[2]]])
def test_one_w_is_used_in_all_layers(generator, other_width, tmp_path, content):
    path = _write(tmp_path, content)
    for one, is_known in ((generator, isinstance(content, dict) and "latent" not in content), (other_width, True)):
        inputs = latent_files.from_file(one, path, None)
        np.testing.assert_array_equal(inputs.latents, np.repeat(W[:, None], LAYERS, 1))
        np.testing.assert_array_equal(inputs.w, W)
        assert inputs.z is None
        assert bool(inputs.notes) is not is_known
        assert is_known or "in w or z: w is assumed (--latent_space)" in inputs.notes[0]


@pytest.mark.parametrize("shape", [(WIDTH,), (1, WIDTH), (1, 1, WIDTH), (1, 1, 1, WIDTH)])
def test_a_single_latent_may_have_any_number_of_axes(generator, tmp_path, shape):
    path = _write(tmp_path, W[0].reshape(shape))
    latents = gs.load_latents(generator, path)
    np.testing.assert_array_equal(latents, np.tile(W[0], (1, LAYERS, 1)))
    mapped = gs.load_latents(generator, path, latent_space="z")
    np.testing.assert_array_equal(mapped, synthesis.map_latents(generator, jnp.asarray(W[:1])))


def test_z_is_mapped_if_the_key_the_size_or_the_user_tells_it(generator, other_width, tmp_path):
    square = np.resize(W, (LAYERS, WIDTH))  # as many rows as layers
    for content, space in (
        ({"z": W}, None),
        ({"z_opt": W}, None),
        ({"zs": W}, None),
        ({"z": square}, None),
        (W, "z"),
        (square, "z"),
        ({"latents": W}, "z"),
    ):
        inputs = latent_files.from_file(generator, _write(tmp_path, content), None, space)
        z = content if isinstance(content, np.ndarray) else next(iter(content.values()))
        np.testing.assert_array_equal(inputs.z, z)
        np.testing.assert_array_equal(inputs.latents, synthesis.map_latents(generator, jnp.asarray(z)))
        assert not inputs.notes
    inputs = latent_files.from_file(other_width, _write(tmp_path, Z), None)
    np.testing.assert_array_equal(inputs.z, Z)
    np.testing.assert_array_equal(inputs.latents, synthesis.map_latents(other_width, jnp.asarray(Z)))


def test_a_generator_without_w_has_z(tmp_path):
    """DCGAN's z has two axes of length 1 behind it."""
    only_z = base.split(dcgan.DCGAN(dcgan.Config(5, (8, 4)), key=jax.random.key(0)))
    for content in (Z, Z[:, :, None, None], {"w": Z}):
        inputs = latent_files.from_file(only_z, _write(tmp_path, content), None)
        np.testing.assert_array_equal(inputs.latents[:, 0], Z)
        assert not inputs.notes and inputs.w is None
    with pytest.raises(InputError, match="this generator has only z; leave --latent_space=w out"):
        latent_files.from_file(only_z, _write(tmp_path, Z), None, "w")


def test_names_beside_an_array_name_its_pictures(generator, tmp_path):
    """As experiments.invert writes them; names that do not fit are no names."""
    path = tmp_path / "latents.npz"
    for names, expected in (
        (["ann", "a.b", "../x"], ["ann", "a.b", "x"]),
        (["ann"], ["latents_0000", "latents_0001", "latents_0002"]),
    ):
        np.savez(path, ws=WS, names=np.array(names))
        assert latent_files.from_file(generator, path, None).names == expected


def test_names_are_those_of_the_pictures_and_safe(generator, tmp_path):
    pictures = {
        "/content/drive/My Drive/" + "very/" * 30 + "me & you.png": WS[0],
        "C:\\faces\\second.one.jpg": WS[1],
        "first/..png": WS[2],
        "a/same.png": WS[0],
        "b/SAME.png": WS[1],
        "same_0000": WS[2],
        "x" * 300: WS[:2],
    }
    inputs = latent_files.from_file(generator, _write(tmp_path, pictures), None)
    assert inputs.names[:4] == ["me_you", "second.one", "me", "same_0000"]
    assert inputs.names[4:6] == ["SAME_0001", "same_0000_"] and inputs.names[6] == "x" * 50 + "_0000"
    assert len({name.lower() for name in inputs.names}) == len(inputs.latents) == 8
    assert latent_files.from_file(generator, _write(tmp_path, WS), None).names == ["me_0000", "me_0001", "me_0002"]
    deeper = {"result": {"x/ann.png": {"latent": WS[0]}, "x/bob.png": {"code": WS[1]}}}
    for content, names in (
        (WS[:1], ["me"]),
        ({"whatever": WS[:1]}, ["me"]),
        ({"alice": WS[0], "bob": WS[1]}, ["alice", "bob"]),
        (deeper, ["ann", "bob"]),
    ):
        assert latent_files.from_file(generator, _write(tmp_path, content), None).names == names


REFUSED = {
    "other layers": ({"w": np.zeros((1, 18, WIDTH), np.float32)}, r"w \[1, 18, 6\]; .* \[n, 4, 6\] \(w of 4 layers\) or"),
    "other layers of one": ({"ws": np.zeros((18, WIDTH), np.float32)}, r"ws \[18, 6\]; this generator needs"),
    "other width": (np.zeros((LAYERS, 7)), r"it holds \[4, 7\]; this generator needs \[n, 4, 6\].* \[n, 6\] \(w or z\)"),
    "z by layer": ({"z": WS}, r"it holds z \[3, 4, 6\]; .* \[n, 4, 6\] \(w of 4 layers\) or \[n, 6\] \(w or z\)"),
    "an image": (np.zeros((8, 8, 3)), r"it holds \[8, 8, 3\]; this generator needs"),
    "nothing": ({}, "no array of latents, but nothing"),
    "text": ({"a": "b"}, "no array of latents, but a"),
    "a number": (np.array(1.0), "no array of latents"),
    "both": ({"z": W, "w": W}, "either z or w; it holds both"),
    "z of some": ({"a.png": {"z": W[:1]}, "b.png": {"w": W[:1]}}, "it holds z of some pictures and w of others"),
    "NaN": ({"a.png": WS[0], "b.png": WS[1] * np.nan}, r"b\.png \[4, 6\] contains NaN"),
    "too large for single precision": (WS.astype(np.float64) * 1e300, r"\[3, 4, 6\] contains NaN or infinity"),
    "StyleSpace": ([["G/0", "G/1"], [np.ones((1, 1, 8), np.float32), np.ones((1, 1, 4), np.float32)]],
                   "StyleSpace's names and arrays of styles by layer, which are neither w nor z"),
    "styles without names": ([np.ones((1, 1, 8), np.float32), np.ones((1, 1, 4), np.float32)],
                             r"2 arrays of different widths, as a network or StyleSpace has, .*: \[1, 1, 8\], \[1, 1, 4\]"),
    "styles of one width": ([["G/0", "G/1"], [W, W]], "StyleSpace's names and arrays of styles by layer"),
    "styles by layer": ({"b4.conv1": W[:1], "b8.conv0": W[:1]}, r"a network or StyleSpace, .*: b4\.conv1 \[1, 6\], b8"),
    "parameters": ({"linear.weight": np.ones((6, 6), np.float32), "linear.bias": np.ones(6, np.float32)},
                   r"arrays of a network or StyleSpace, and neither w nor z: linear\.weight \[6, 6\], linear\.bias"),
    "a network": ({"g_ema": {"conv": np.ones((3, 3), np.float32), "bias": np.ones(2, np.float32)}},
                  r"arrays of a network or StyleSpace, and neither w nor z: conv \[3, 3\], bias \[2\]"),
}  # fmt: skip


@pytest.mark.parametrize("kind", REFUSED)
def test_what_does_not_fit_is_refused_by_what_it_has_and_what_is_needed(generator, tmp_path, kind):
    content, message = REFUSED[kind]
    with pytest.raises(InputError, match=rf"--latents=\S+me\.\w+: .*{message}") as caught:
        latent_files.from_file(generator, _write(tmp_path, content), None)
    assert "damaged" not in str(caught.value) and len(str(caught.value).splitlines()) == 1


def test_a_space_that_does_not_fit_the_size_is_refused(other_width, tmp_path):
    for content, space, message in ((W, "z", "z has 5 numbers"), ({"w": Z}, None, "w has 6 numbers")):
        with pytest.raises(InputError, match=rf"this generator's {message}"):
            latent_files.from_file(other_width, _write(tmp_path, content), None, space)
    with pytest.raises(InputError, match=r"\[n, 4, 6\] \(w of 4 layers\), \[n, 6\] \(w\) or \[n, 5\] \(z\)"):
        latent_files.from_file(other_width, _write(tmp_path, W[:, :2]), None)


def test_labels_come_from_the_file_or_the_flag(biggan, tmp_path):
    z, weights = Z[:, :4], np.eye(3, dtype=np.float32)[[2, 0, 1]]
    for label in (weights, np.array([2, 0, 1])):
        inputs = latent_files.from_file(biggan, _write(tmp_path, {"z": z, "label": label}), "0")
        np.testing.assert_array_equal(inputs.label, weights)
    one = latent_files.from_file(biggan, _write(tmp_path, {"z": z[:1], "label": weights[0]}), None)
    np.testing.assert_array_equal(one.label, weights[:1])
    square = latent_files.from_file(biggan, _write(tmp_path, z[:2]), "1")  # as many rows as layers
    np.testing.assert_array_equal(square.latents[:, 0], z[:2])
    given = latent_files.from_file(biggan, _write(tmp_path, z), "1")
    np.testing.assert_array_equal(given.label, [[0, 1, 0]] * 3)
    by_picture = {"a.png": {"z": z[0], "label": 2}, "b.png": {"z": z[1:], "label": np.array([0, 1])}}
    apart = latent_files.from_file(biggan, _write(tmp_path, by_picture), None)
    np.testing.assert_array_equal(apart.label, weights)
    for key in ("class_idx", "y", "labels"):
        inputs = latent_files.from_file(biggan, _write(tmp_path, {"z": z, key: [2, 0, 1]}), None)
        np.testing.assert_array_equal(inputs.label, weights)
    with pytest.raises(InputError, match="holds no label; this generator is conditional, give --label as well"):
        latent_files.from_file(biggan, _write(tmp_path, z), None)


def test_rows_as_many_as_another_generator_has_layers_are_told(generator, tmp_path):
    rows = np.resize(W, (18, WIDTH))
    inputs = latent_files.from_file(generator, _write(tmp_path, {"w": rows}), None)
    assert inputs.notes == ("w [18, 6] is 18 pictures with one w each; one picture by layer would have 4 rows",)


def test_w_needs_no_label_because_only_the_mapping_network_uses_it(tmp_path):
    conditional = _stylegan2(WIDTH, num_classes=3)
    inputs = latent_files.from_file(conditional, _write(tmp_path, {"w": WS}), None)
    assert inputs.label is None
    ws = jnp.asarray(inputs.latents)
    made = [np.asarray(synthesis.synthesize(conditional, ws, label=label)) for label in (None, 2)]
    np.testing.assert_array_equal(made[0], made[1])
    with pytest.raises(InputError, match="holds no label"):
        latent_files.from_file(conditional, _write(tmp_path, {"z": W}), None)
    mapped = [latent_files.from_file(conditional, _write(tmp_path, {"z": W}), label).latents for label in (0, 1)]
    assert np.abs(mapped[0] - mapped[1]).max() > 1e-3
