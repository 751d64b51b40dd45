"""ProGAN matches netdissect's port, and pixel norm removes scales.

The port's names and the official names both convert.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from checkpoints_convert import progan_netdissect, progan_tensorflow
from ganspace_jax.errors import InputError
from ganspace_jax.generators import base, progan, synthesis, zoo
from tests.golden_arrays import error, load

TOLERANCE = 1e-4


def _part(arrays, prefix):
    return {key.removeprefix(prefix): value for key, value in arrays.items() if key.startswith(prefix)}


@pytest.fixture(scope="module")
def golden():
    arrays = load("progan_32")
    generator = progan_netdissect.convert(_part(arrays, "param/"))
    return arrays, generator, synthesis.map_latents(generator, jnp.asarray(arrays["input/z"]))


@pytest.fixture(scope="module")
def small():
    """Every block has its own width. All arrays are normal, also the biases."""
    config = progan.Config(z_dim=5, channels=(6, 5, 4), image_channels=1)
    abstract, rng = zoo.abstract_generator("progan", config), np.random.default_rng(0)
    draw = lambda x: jnp.asarray(rng.standard_normal(x.shape, np.float32))  # noqa: E731
    return abstract._replace(params=jax.tree.map(draw, abstract.params))


def _latents(generator, count=2, seed=2):
    return jax.random.normal(jax.random.key(seed), (count, *generator.merge().latent_shape))


@pytest.mark.usefixtures("optimized")
def test_image_and_activations_match_the_reference(golden):
    arrays, generator, latents = golden
    image, activations = jax.jit(generator.merge())(latents)
    assert error(image, arrays["output/image"]) < TOLERANCE
    stored = _part(arrays, "output/act/")
    assert set(activations) - set(stored) == {"output"} and len(stored) == 8
    for name, reference in stored.items():
        assert error(activations[name], reference) < TOLERANCE, name


def test_every_naming_converts_alike(golden):
    """Four namings give one generator.

    They are netdissect's, an older port's, and TensorFlow's with fused and with unfused
    up-sampling kernels.
    """
    arrays, generator, _ = golden
    state, variables = _part(arrays, "param/"), _part(arrays, "param_tf/")
    older = {}
    for name, array in state.items():
        layer, rest = name.split(".", 1)
        older[f"features.{int(layer[5:]) - 1}.{rest}" if layer.startswith("layer") else f"output.{rest}"] = array
    unfused = {}
    for name, array in variables.items():
        turned = array.transpose(0, 1, 3, 2)[::-1, ::-1] if name.endswith("Conv0_up/weight") else array
        unfused[name.replace("Conv0_up", "Conv0")] = turned
    assert set(older).isdisjoint(set(state)) and len(set(unfused) - set(variables)) == 6
    for found in (
        progan_netdissect.convert({"state_dict": state}),
        progan_netdissect.convert(older),
        progan_tensorflow.convert(variables, arrays["config"]["G_static_kwargs"]),
        progan_tensorflow.convert(unfused),
    ):
        assert found.definition == generator.definition
        jax.tree.map(np.testing.assert_array_equal, found.params, generator.params)


def _variables(channels, inputs=5, image_channels=2):
    """Returns the arrays of an official file without fused up-sampling.

    All arrays are drawn from one normal distribution.
    """
    shapes = {"4x4/Dense": (inputs, 16 * channels[0]), "4x4/Conv": (3, 3, channels[0], channels[0])}
    for index in range(1, len(channels)):
        before, width = channels[index - 1 : index + 1]
        side = 4 * 2**index
        shapes |= {f"{side}x{side}/Conv0": (3, 3, before, width), f"{side}x{side}/Conv1": (3, 3, width, width)}
    shapes["ToRGB_lod0"] = (1, 1, channels[-1], image_channels)
    rng, arrays = np.random.default_rng(0), {"lod": np.float32(0)}
    for name, shape in shapes.items():
        arrays[f"{name}/weight"] = rng.standard_normal(shape, np.float32)
        width = channels[0] if name == "4x4/Dense" else shape[-1]
        arrays[f"{name}/bias"] = rng.standard_normal(width, np.float32)
    return arrays


OFFICIAL, OF_STYLEGAN = "tfutil.Network", "dnnlib.tflib.network.Network"


@pytest.mark.parametrize("channels", [(4, 4), (4, 3)])
def test_fused_kernels_are_read_as_their_code_stores_them(channels):
    """ProGAN's files store [row, column, out, in], StyleGAN's [row, column, in, out].

    If the numbers of channels differ, the shape decides, for both classes.
    """
    plain = _variables(channels)
    expected = progan_tensorflow.convert(plain)
    kernel = plain.pop("8x8/Conv0/weight")[::-1, ::-1]
    plain["8x8/Conv0_up/bias"] = plain.pop("8x8/Conv0/bias")
    for own, stored in ((OFFICIAL, kernel.transpose(0, 1, 3, 2)), (OF_STYLEGAN, kernel)):
        for class_name in (own,) if channels == (4, 4) else (OFFICIAL, OF_STYLEGAN):
            found = progan_tensorflow.convert({**plain, "8x8/Conv0_up/weight": stored}, None, class_name)
            jax.tree.map(np.testing.assert_array_equal, found.params, expected.params)


def _definition(variables, x, *, normalize_latents=True, use_wscale=True, use_pixelnorm=True, use_leakyrelu=True):
    """Returns the official code's images [n, height, width, channels] in float64."""
    variables = {name: np.asarray(array, np.float64) for name, array in variables.items()}

    def weight(name, gain=2**0.5):
        array = variables[f"{name}/weight"]
        return array * gain / np.sqrt(np.prod(array.shape[:-1])) if use_wscale else array

    def convolved(name, x):
        kernel = weight(name)
        windows = np.lib.stride_tricks.sliding_window_view(np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0))), (3, 3), (1, 2))
        return activated(name, np.einsum("nhwikl,klio->nhwo", windows, kernel))

    def activated(name, x):
        x = x + variables[f"{name}/bias"]
        x = np.where(x > 0, x, 0.2 * x if use_leakyrelu else 0)
        return unit(x) if use_pixelnorm else x

    unit = lambda x: x / np.sqrt((x**2).mean(-1, keepdims=True) + 1e-8)  # noqa: E731
    x = (unit(x) if normalize_latents else x) @ weight("4x4/Dense", 2**0.5 / 4)
    x = activated("4x4/Dense", np.moveaxis(x.reshape(len(x), -1, 4, 4), 1, -1))
    x = convolved("4x4/Conv", x)
    while f"{(side := 2 * x.shape[1])}x{side}/Conv0/weight" in variables:
        x = convolved(f"{side}x{side}/Conv0", x.repeat(2, axis=1).repeat(2, axis=2))
        x = convolved(f"{side}x{side}/Conv1", x)
    return x @ weight("ToRGB_lod0", 1)[0, 0] + variables["ToRGB_lod0/bias"]


@pytest.mark.parametrize("normalized", [True, False])
def test_a_label_is_joined_to_z_as_the_official_code_does(normalized):
    variables = _variables((4, 3), inputs=5 + 2)
    static = {"label_size": 2, "normalize_latents": normalized}
    generator = progan_tensorflow.convert(variables, static)
    module = generator.merge()
    assert (module.z_dim, module.num_classes, module.latent_shape) == (5, 2, (1, 5))
    z, label = np.random.default_rng(1).standard_normal((3, 5), np.float32), np.float32([[1, 0], [0, 1], [0.3, 0.7]])
    latents = synthesis.map_latents(generator, jnp.asarray(z), jnp.asarray(label))
    np.testing.assert_array_equal(latents[:, 0], z)
    expected = _definition(variables, np.concatenate([z, label], axis=1), normalize_latents=normalized)
    image = synthesis.synthesize(generator, latents, label=jnp.asarray(label))
    np.testing.assert_allclose(image, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize("option", ["use_wscale", "use_pixelnorm", "use_leakyrelu"])
def test_a_network_trained_without_a_part_is_the_official_codes(option):
    variables = _variables((4, 3))
    generator = progan_tensorflow.convert(variables, {option: False})
    z = np.random.default_rng(1).standard_normal((2, 5), np.float32)
    images = [_definition(variables, z, **{option: value}) for value in (False, True)]
    image = synthesis.synthesize(generator, jnp.asarray(z)[:, None])
    np.testing.assert_allclose(image, images[0], rtol=0, atol=1e-5 * np.abs(images[0]).max())
    assert np.abs(images[0] - images[1]).max() > 0.1 * np.abs(images[0]).max()


def test_labels_are_checked(small):
    conditional = progan_tensorflow.convert(_variables((4, 3)), {"label_size": 2})
    with pytest.raises(ValueError, match=r"label: this generator is conditional; give \[batch, 2\] weights"):
        synthesis.synthesize(conditional, _latents(conditional))
    with pytest.raises(ValueError, match="label: this generator is not conditional"):
        synthesis.map_latents(small, jnp.zeros((1, 5)), jnp.zeros((1, 3)))


def test_static_arguments_reach_the_configuration(golden):
    variables = _part(golden[0], "param_tf/")
    static = {"normalize_latents": False, "pixelnorm_epsilon": 1e-4}
    config = progan_tensorflow.convert(variables, static).merge().config
    assert (config.normalize_latents, config.epsilon) == (False, 1e-4)


@pytest.mark.parametrize("normalized", [True, False])
def test_the_length_of_z_matters_only_where_it_is_not_normalised(small, normalized):
    config = progan.Config(**{**vars(small.merge().config), "normalize_latents": normalized})
    generator = zoo.abstract_generator("progan", config)._replace(params=small.params)
    latents = _latents(generator)
    change = jnp.abs(synthesis.synthesize(generator, 3.0 * latents) - synthesis.synthesize(generator, latents)).max()
    assert float(change) < 1e-4 if normalized else float(change) > 1e-1


def test_pixel_norm_takes_the_scale_of_every_layer_away(small):
    """Scaling a layer's weights and bias scales its output, and no later output."""
    latents = _latents(small)
    run = jax.jit(lambda params: base.merge(small.definition, params)(latents))
    image, before = run(small.params)
    for name in ("layer1", "layer2", "layer3", "layer6"):
        louder = {**small.params, name: jax.tree.map(lambda x: 4.0 * x, small.params[name])}
        other, after = run(louder)
        np.testing.assert_allclose(after[name], 4.0 * before[name], rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(other, image, atol=1e-4)
    louder = {**small.params, "output": jax.tree.map(lambda x: 4.0 * x, small.params["output"])}
    np.testing.assert_allclose(run(louder)[0], 4.0 * image, rtol=1e-4, atol=1e-5)


def test_doubling_repeats_pixels(small):
    """A kernel with only its centre tap gives four equal pixels per input pixel."""
    weight = small.params["layer3"]["weight"]
    centre = jnp.zeros_like(weight).at[1, 1].set(weight[1, 1])
    for params, equal in ((small.params["layer3"] | {"weight": centre}, True), (small.params["layer3"], False)):
        generator = small._replace(params={**small.params, "layer3": params})
        quads = np.asarray(synthesis.activation(generator, _latents(small), "layer3")).reshape(2, 4, 2, 4, 2, 5)
        assert np.array_equal(quads, np.broadcast_to(quads[:, :, :1, :, :1], quads.shape)) == equal


def test_offsets_move_their_activation_and_leave_earlier_ones(small):
    latents = _latents(small)
    module = small.merge()
    image, plain = module(latents)
    moved, activations = module(latents, offsets={"layer4": jnp.full((8, 8, 5), 2.0)})
    np.testing.assert_allclose(activations["layer4"] - plain["layer4"], 2.0, rtol=1e-5)
    for name in ("layer1", "layer2", "layer3"):
        np.testing.assert_array_equal(activations[name], plain[name])
    assert float(jnp.abs(moved - image).max()) > 1e-3
    with pytest.raises(ValueError, match="layer9"):
        module(latents, offsets={"layer9": jnp.zeros(1)})


def test_the_published_configuration_has_the_papers_size():
    """The network of 1024 px has 23.1 million parameters (table 2)."""
    config = progan.Config(z_dim=512, channels=(512, 512, 512, 512, 256, 128, 64, 32, 16))
    generator = zoo.abstract_generator("progan", config)
    assert round(sum(leaf.size for leaf in jax.tree.leaves(generator.params)) / 1e6, 1) == 23.1
    shapes = base.activation_shapes(generator)
    assert shapes["layer1"] == (4, 4, 512) and shapes["layer18"] == (1024, 1024, 16)
    assert shapes["output"] == (1024, 1024, 3) and config.resolution == 1024


def test_bfloat16_is_near_float32(small):
    config = progan.Config(**{**vars(small.merge().config), "compute_dtype": "bfloat16"})
    other = zoo.abstract_generator("progan", config)._replace(params=small.params)
    exact, rough = (synthesis.synthesize(generator, _latents(small)) for generator in (small, other))
    assert rough.dtype == jnp.float32 and synthesis.activation(other, _latents(small), "layer2").dtype == jnp.bfloat16
    assert 0 < float(jnp.std(exact - rough) / jnp.std(exact)) < 0.05


def test_what_does_not_convert_is_named(golden):
    state, variables = _part(golden[0], "param/"), _part(golden[0], "param_tf/")
    with pytest.raises(InputError, match="not a ProGAN of netdissect's layout"):
        progan_netdissect.convert({"layer1.conv.weight": np.zeros((2, 2, 3, 3))})
    with pytest.raises(InputError, match=r"layer3\.wscale\.b: missing"):
        progan_netdissect.convert({k: v for k, v in state.items() if k != "layer3.wscale.b"})
    with pytest.raises(InputError, match=r"extra: nothing"):
        progan_netdissect.convert({**state, "extra": np.zeros(3)})
    with pytest.raises(InputError, match=r"8x8/Conv0/\w+: missing"):
        progan_tensorflow.convert({k: v for k, v in variables.items() if k != "8x8/Conv0_up/weight"})
    with pytest.raises(InputError, match="lod=1.5: this network is still growing"):
        progan_tensorflow.convert({**variables, "lod": np.float32(1.5)})
    for classes in (-1, 24):
        with pytest.raises(InputError, match=f"label_size={classes}: 4x4/Dense has 24 inputs with z"):
            progan_tensorflow.convert(variables, {"label_size": classes})
