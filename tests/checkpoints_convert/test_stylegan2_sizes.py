"""StyleGAN2 from forks, whose constants are not 4x4 and whose images need not be
square.
"""

import dataclasses
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from checkpoints_convert import formats, networks, stylegan2_pytorch, stylegan2_rosinality, stylegan2_tensorflow
from ganspace_jax.errors import InputError
from ganspace_jax.generators import base, stylegan2, synthesis, zoo
from tests import stylegan2_definition, stylegan2_files

SMALL = stylegan2.Config(z_dim=3, w_dim=3, channels=(3, 2), mapping_layers=2, base_size=(3, 2))
NETWORKS = {  # high, wide, square, odd, with each architecture, labels and RGBA
    "6x4 skip": {"base_size": (6, 4), "channels": (3, 2, 3), "conv_clamp": 256.0},
    "4x2 resnet": {"base_size": (4, 2), "architecture": "resnet", "num_classes": 3, "embed_width": 2},
    "4x7 orig": {"base_size": (4, 7), "architecture": "orig", "image_channels": 4},
    "5x5 skip": {"base_size": (5, 5), "resample_filter": (2.0, 3.0, 1.0)},
    "1x3 without noise": {"base_size": (1, 3), "use_noise": False, "channels": (2, 2, 2)},
}


def _drawn(**changes):
    """A generator with all its arrays from one normal distribution."""
    config = dataclasses.replace(SMALL, **changes)
    abstract, rng = zoo.abstract_generator("stylegan2", config), np.random.default_rng(0)
    draw = lambda x: jnp.asarray(rng.standard_normal(x.shape, np.float32))  # noqa: E731
    return abstract._replace(params=jax.tree.map(draw, abstract.params))


def _assert_same(found, expected, atol=0.0):
    config = expected.config
    if found.config.mapping_width is not None and config.mapping_width is None:
        config = dataclasses.replace(config, mapping_width=config.w_dim)
    assert found.config == config
    close = lambda x, y: np.testing.assert_allclose(x, y, rtol=0, atol=atol)  # noqa: E731
    jax.tree.map(close, found.params, expected.params)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_pytorch_file_of_another_size_makes_the_images_of_its_definition(name):
    generator = _drawn(**NETWORKS[name])
    config = generator.config
    state, source, clamps = stylegan2_files.as_pytorch(generator)
    found = stylegan2_pytorch.convert(state, {**source, "init_res": list(config.base_size)}, clamps)
    _assert_same(found, generator)
    height, width = (side * 2 ** (len(config.channels) - 1) for side in config.base_size)
    assert found.image_size == (height, width) and found.resolution == max(height, width)
    latents = jax.random.normal(jax.random.key(2), (2, *found.latent_shape))
    definition = stylegan2_definition.Definition(state, config)
    expected = np.stack([definition.image(ws.astype(np.float64)) for ws in np.asarray(latents)])
    image = np.moveaxis(np.asarray(synthesis.synthesize(found, latents)), -1, 1)
    assert image.shape == (2, config.image_channels, height, width)
    np.testing.assert_allclose(image, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


def test_random_noise_has_the_size_of_each_layer():
    generator = _drawn(base_size=(2, 5))
    latents = jnp.zeros((2, *generator.latent_shape))
    first, second = (synthesis.synthesize(generator, latents, noise=seed) for seed in (1, 2))
    assert first.shape == (2, 4, 10, 3) and np.abs(np.asarray(first - second)).max() > 1e-3


SCOPES = {  # names of the blocks in TensorFlow's files
    "height x width": ("6x4", "12x8", "24x16"),
    "width x height": ("4x6", "8x12", "16x24"),
    "the official code's": ("4x4", "8x8", "16x16"),
    "the official code's for the first": ("4x4", "12x8", "24x16"),
}


@pytest.mark.parametrize("grown", [False, True])
@pytest.mark.parametrize("scopes", SCOPES.values(), ids=SCOPES)
def test_a_tensorflow_file_gives_its_network_back_however_its_scopes_are_named(scopes, grown):
    generator = _drawn(
        base_size=(6, 4), channels=(3, 2, 4), scaled_demodulation=True, architecture="orig" if grown else "skip"
    )
    arrays, static = stylegan2_files.as_tensorflow(generator, grown=grown, scopes=scopes)
    static |= {"min_h": 6, "min_w": 4, "res_log2": 2, "resolution": 24, "verbose": True, "size": None}
    assert {f"synthesis/{scope}/Conv1/bias" for scope in scopes[1:]} < set(arrays)
    _assert_same(stylegan2_tensorflow.convert(arrays, static), generator, atol=1e-6)
    source = formats.Source("f.pkl", "pickle", (networks.Network("Gs", arrays),))
    assert formats.recognize(source, "auto", "auto")[0].name == "stylegan2_tensorflow"
    lacking = {name: array for name, array in arrays.items() if scopes[1] not in name}
    with pytest.raises(InputError, match=r"parameter synthesis/\S+: (missing|has shape)"):
        stylegan2_tensorflow.convert(lacking, static)


def test_a_tensorflow_file_of_one_block_and_one_without_a_constant():
    generator = _drawn(base_size=(2, 3), channels=(3,), scaled_demodulation=True)
    arrays, static = stylegan2_files.as_tensorflow(generator, scopes=["2x3"])
    _assert_same(stylegan2_tensorflow.convert(arrays, static), generator, atol=1e-6)
    del arrays["synthesis/2x3/Const/const"]
    with pytest.raises(InputError, match="missing from the file"):
        stylegan2_tensorflow.convert(arrays, static)
    assert not stylegan2_tensorflow.matches(arrays)


@pytest.mark.parametrize("base_size", [(4, 2), (3, 5), (7, 7)])
def test_a_rosinality_file_of_another_size_gives_its_network_back(base_size):
    """StyleGAN-Human's own export has this layout. Missing noise images are drawn."""
    generator = _drawn(base_size=base_size, scaled_demodulation=True, mapping_width=3)
    content = stylegan2_files.as_rosinality(generator)
    _assert_same(stylegan2_rosinality.convert(content), generator)
    without = {name: array for name, array in content["g_ema"].items() if not name.startswith("noises.")}
    found = stylegan2_rosinality.convert({**content, "g_ema": without})
    assert found.config == generator.config
    assert found.params["synthesis"]["b8"]["conv0"]["noise_const"].shape == tuple(2 * side for side in base_size)


HARMLESS = (
    {"square": True}, {"verbose": False}, {"init_res": [4, 4]}, {"init_res": (4, 4), "square": True},
    {"size": None, "scale_type": None, "countHW": [1, 1], "splitfine": 0.0}, {"size": [8, 8]},
    {"extended_sgan2": True},
)  # fmt: skip


@pytest.mark.parametrize("arguments", HARMLESS, ids=str)
@pytest.mark.parametrize("place", ["source", "synthesis_kwargs"])
def test_arguments_that_change_nothing_do_not_matter(place, arguments):
    generator = _drawn(base_size=(4, 4))
    state, source, clamps = stylegan2_files.as_pytorch(generator)
    inner = {**source["synthesis_kwargs"], **(arguments if place == "synthesis_kwargs" else {})}
    source = {**source, **(arguments if place == "source" else {}), "synthesis_kwargs": inner}
    _assert_same(stylegan2_pytorch.convert(state, source, clamps), generator)


@pytest.mark.parametrize("resolution", [8, 6, 4, [6, 4], (6, 4), 6.0, np.int64(8)], ids=str)
def test_the_resolution_counts_blocks_or_is_the_size_of_the_images(resolution):
    generator = _drawn()
    state, source, clamps = stylegan2_files.as_pytorch(generator)
    _assert_same(stylegan2_pytorch.convert(state, {**source, "img_resolution": resolution}, clamps), generator)


@pytest.mark.parametrize(
    ("base_size", "arguments", "message"),
    [
        ((3, 2), {"init_res": [4, 4]}, r"argument init_res=\[4, 4\]: the file's arrays require init_res=\[3, 2\]"),
        ((3, 2), {"size": [12, 8]}, r"argument size=\[12, 8\]: the file's arrays require size=\[6, 4\]"),
        ((3, 2), {"countHW": [1, 2]}, r"argument countHW=\[1, 2\]: only \[1, 1\] converts"),
        ((3, 2), {"square": True}, "argument square=True: the constant of the file is 3x2 pixels"),
        ((4, 4), {"square": False}, "argument square=False: the constant of the file is 4x4 pixels"),
        ((3, 2), {"img_resolution": 7}, "img_resolution=7: must be a power of two, .*or the size of the images, 6x4"),
        ((3, 2), {"img_resolution": [4, 6]}, r"img_resolution=\[4, 6\]: must be a power of two"),
        ((3, 2), {"img_resolution": "8"}, "img_resolution=8: must be a power of two"),
        ((3, 2), {"img_resolution": 16}, r"parameter synthesis\.b16\.conv1\.bias: missing"),
        ((3, 2), {"aspect": None}, "argument aspect: not known"),
    ],
)
def test_what_the_arguments_of_a_fork_cannot_mean_is_named(base_size, arguments, message):
    state, source, clamps = stylegan2_files.as_pytorch(_drawn(base_size=base_size))
    with pytest.raises(InputError, match=message):
        stylegan2_pytorch.convert(state, {**source, **arguments}, clamps)


def test_the_tensorflow_argument_size_is_refused_where_it_resizes():
    arrays, static = stylegan2_files.as_tensorflow(_drawn(base_size=(4, 4)))
    assert stylegan2_tensorflow.configuration(arrays, {**static, "size": (8, 8)}).image_size == (8, 8)
    with pytest.raises(InputError, match=r"argument size=\[8, 16\]: the file's arrays require size=\[8, 8\]"):
        stylegan2_tensorflow.configuration(arrays, {**static, "size": (8, 16)})


def test_arrays_whose_sizes_contradict_one_another_are_named():
    state, source, clamps = stylegan2_files.as_pytorch(_drawn())
    for name in ("synthesis.b4.const", "synthesis.b8.conv0.noise_const"):
        damaged = {**state, name: np.zeros((*state[name].shape[:-1], 9), np.float32)}
        with pytest.raises(InputError, match=f"parameter {re.escape(name)}: has shape"):
            stylegan2_pytorch.convert(damaged, source, clamps)
    empty = {name: array[..., :0] if name.endswith("b4.const") else array for name, array in state.items()}
    empty = {name: array for name, array in empty.items() if "noise" not in name}
    with pytest.raises(InputError, match=r"parameter synthesis\.b4\.const: is 3x0 pixels"):
        stylegan2_pytorch.convert(empty, source, clamps)


def test_a_generator_of_another_size_comes_back_from_its_directory(tmp_path):
    generator = _drawn()
    zoo.save(tmp_path / "model", generator)
    again = zoo.load(tmp_path / "model")
    _assert_same(again, generator)
    assert base.activation_shapes(again)["b8.conv0"] == (6, 4, 2)
    assert zoo.fingerprint(again) == zoo.fingerprint(generator)
