"""StyleGAN2's three layouts: what they say of a network becomes ours, against the
reference and against float64.
"""

import dataclasses
import functools
import math
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from checkpoints_convert import stylegan2_pytorch, stylegan2_rosinality, stylegan2_tensorflow
from ganspace_jax.errors import InputError
from ganspace_jax.files.inert import torch_files
from ganspace_jax.generators import stylegan2, synthesis, zoo
from tests import stylegan2_definition, stylegan2_files
from tests.golden_arrays import clamps, error, load, part, stylegan2_generator

GOLDEN = pathlib.Path(__file__).parents[1] / "golden"
TOLERANCE = 1e-4

CONFIGURATIONS = {
    "orig": stylegan2.Config(
        z_dim=7, w_dim=5, channels=(5, 3, 4), num_classes=3, mapping_layers=2, mapping_width=6, embed_width=2,
        mapping_learning_rate=0.02, architecture="orig",
    ),
    "resnet": stylegan2.Config(
        z_dim=6, w_dim=6, channels=(3, 5, 2), image_channels=1, architecture="resnet", conv_clamp=2.5,
        resample_filter=(2.0, 3.0, 1.0),
    ),
    "skip": stylegan2.Config(
        z_dim=4, w_dim=5, channels=(4, 2, 3), mapping_layers=1, use_noise=False, resample_filter=(1.0, 4.0, 2.0, 1.0),
    ),
}  # fmt: skip


def _drawn(config):
    """A generator with all its arrays from one normal distribution."""
    abstract, rng = zoo.abstract_generator("stylegan2", config), np.random.default_rng(0)
    draw = lambda x: jnp.asarray(rng.standard_normal(x.shape, np.float32))  # noqa: E731
    return abstract._replace(params=jax.tree.map(draw, abstract.params))


def _assert_same(found, expected):
    """The same program and, bit for bit, the same arrays."""
    assert found.merge().config == expected.merge().config
    assert found.definition == expected.definition
    jax.tree.map(np.testing.assert_array_equal, found.params, expected.params)


def _unit(x):
    return x / np.sqrt((x**2).mean(1, keepdims=True) + 1e-8)


def _dense(x, weights, rate):
    """Mapping layers in float64: [in, out] weights and biases."""
    for weight, bias in weights:
        x = x @ weight.astype(np.float64) * rate / math.sqrt(len(weight)) + rate * bias
        x = np.where(x > 0, x, 0.2 * x) * math.sqrt(2)
    return x


def _latents(generator, count=2):
    return jax.random.normal(jax.random.key(2), (count, *generator.merge().latent_shape))


def _without(source, name):
    return {key: value for key, value in source.items() if key != name}


# The reference's files.


@pytest.fixture(scope="module")
def reference():
    """One network in the layout of each code."""
    tensorflow = load("stylegan2_tf_f32")
    rosinality = load("stylegan2_rosinality_f32")
    return tensorflow, rosinality, stylegan2_generator(tensorflow)


@pytest.mark.parametrize("ending", ["", "_oldformat"])
def test_the_native_torch_files_make_the_reference_images(reference, ending):
    arrays = reference[1]
    generator = stylegan2_rosinality.convert(torch_files.read(GOLDEN / f"stylegan2_rosinality_f32{ending}.pt"))
    _assert_same(generator, stylegan2_generator(arrays))
    latents = synthesis.map_latents(generator, jnp.asarray(arrays["input/z"]))
    for name, psi in (("image", 1.0), ("image_psi0.7", 0.7), ("image_psi0.5", 0.5)):
        assert error(synthesis.synthesize(generator, latents, truncation_psi=psi), arrays[f"output/{name}"]) < TOLERANCE


def test_one_network_is_the_same_from_all_three_layouts(reference):
    """The official conversion between two of them made these files."""
    tensorflow, rosinality, generator = reference
    _assert_same(stylegan2_generator(rosinality), generator)
    source = tensorflow["config"]["torch_generator_init_kwargs"]
    found = stylegan2_pytorch.convert(part(tensorflow, "param_torch/"), source, clamps(source))
    jax.tree.map(np.testing.assert_array_equal, found.params, generator.params)
    theirs, ours = found.merge().config, generator.merge().config
    assert dataclasses.replace(theirs, scaled_demodulation=True) == ours and not theirs.scaled_demodulation


# Networks of ours, written as the files would hold them.


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_a_pytorch_file_means_what_its_definition_says(name):
    config = CONFIGURATIONS[name]
    generator = _drawn(config)
    state, source, layers = stylegan2_files.as_pytorch(generator)
    found = stylegan2_pytorch.convert(state, source, layers)
    _assert_same(found, generator)
    _assert_same(stylegan2_pytorch.convert(*stylegan2_files.as_pytorch(generator, flat=True)), generator)
    latents = _latents(found)
    definition = stylegan2_definition.Definition(state, config)
    expected = np.stack([definition.image(ws.astype(np.float64)) for ws in np.asarray(latents)])
    assert error(synthesis.synthesize(found, latents), expected) < 1e-5
    if config.conv_clamp is not None:
        assert 0.1 < (np.abs(expected) == config.conv_clamp).mean() < 0.5  # it acts, and hides nothing


def test_a_pytorch_file_maps_as_its_definition_says():
    generator = _drawn(dataclasses.replace(CONFIGURATIONS["orig"], mapping_layers=3))
    state, source, layers = stylegan2_files.as_pytorch(generator)
    z, label = np.random.default_rng(1).standard_normal((4, 7)), np.eye(3)[[0, 2, 2, 1]]
    embedding = label @ state["mapping.embed.weight"].T / math.sqrt(3) + state["mapping.embed.bias"]
    weights = [(state[f"mapping.fc{i}.weight"].T, state[f"mapping.fc{i}.bias"]) for i in range(3)]
    expected = _dense(np.concatenate([_unit(z), _unit(embedding)], axis=1), weights, 0.02)
    found = stylegan2_pytorch.convert(state, source, layers)
    w = synthesis.map_latents(found, jnp.asarray(z, jnp.float32), jnp.asarray(label, jnp.float32))
    assert w.shape == (4, 6, 5)
    np.testing.assert_allclose(w[:, 5], expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_a_tensorflow_file_gives_its_network_back(name):
    generator = _drawn(dataclasses.replace(CONFIGURATIONS[name], scaled_demodulation=True))
    found = stylegan2_tensorflow.convert(*stylegan2_files.as_tensorflow(generator))
    assert found.merge().config == dataclasses.replace(generator.merge().config, mapping_width=_hidden(generator))
    close = functools.partial(np.testing.assert_allclose, rtol=0, atol=1e-6)  # style biases lose a 1 and get it back
    jax.tree.map(close, found.params, generator.params)


def test_a_tensorflow_file_may_have_a_constant_of_another_width():
    """StyleGAN2-ADA's fmap_const: against float64."""
    config = dataclasses.replace(CONFIGURATIONS["resnet"], const_channels=4, scaled_demodulation=True, mapping_width=6)
    generator = _drawn(config)
    found = stylegan2_tensorflow.convert(*stylegan2_files.as_tensorflow(generator))
    assert found.merge().config == config
    latents = _latents(found)
    definition = stylegan2_definition.Definition(stylegan2_files.as_pytorch(generator)[0], config, scaled=True)
    expected = np.stack([definition.image(ws.astype(np.float64)) for ws in np.asarray(latents)])
    assert error(synthesis.synthesize(found, latents), expected) < 1e-5


def _hidden(generator):
    """What the arrays say where the configuration leaves it to w_dim."""
    config = generator.merge().config
    return config.mapping_width or (config.w_dim if config.mapping_layers > 1 else None)


def test_a_network_that_was_grown_is_architecture_orig():
    generator = _drawn(dataclasses.replace(CONFIGURATIONS["orig"], scaled_demodulation=True))
    arrays, static = stylegan2_files.as_tensorflow(generator, grown=True)
    served = {f"synthesis/ToRGB_lod{level}/bias": np.zeros(3) for level in (1, 2)}
    grown = {**arrays, **served, "synthesis/lod": np.float32(0)}
    static = _without(static, "architecture")
    found = stylegan2_tensorflow.convert(grown, static)
    _assert_same(found, stylegan2_tensorflow.convert(*stylegan2_files.as_tensorflow(generator)))
    earlier = {**grown, "synthesis/lod": np.float32(1.5)}  # set from Gs's own whenever it runs
    _assert_same(stylegan2_tensorflow.convert(earlier, static), found)
    with pytest.raises(InputError, match="lod=1.5: this network is still growing"):
        stylegan2_tensorflow.convert({**grown, "lod": np.float32(1.5)}, static)


@pytest.mark.parametrize("normalized", [True, False])
@pytest.mark.parametrize("labels", ["joint", "separate"])
def test_labels_are_joined_to_z_as_either_tensorflow_code_does(labels, normalized):
    config = dataclasses.replace(
        CONFIGURATIONS["orig"], channels=(2,), architecture="skip", label_normalization=labels,
        normalize_latents=normalized, scaled_demodulation=True,
    )  # fmt: skip
    arrays, static = stylegan2_files.as_tensorflow(_drawn(config))
    found = stylegan2_tensorflow.convert(arrays, static)
    assert found.merge().config == config
    z, label = np.random.default_rng(1).standard_normal((4, 7)), np.eye(3)[[0, 2, 2, 1]]
    unit = _unit if normalized else lambda x: x
    if labels == "joint":
        x = unit(np.concatenate([z, label @ arrays["mapping/LabelConcat/weight"]], axis=1))
    else:
        embedding = label @ arrays["mapping/LabelEmbed/weight"] / math.sqrt(3) + arrays["mapping/LabelEmbed/bias"]
        x = np.concatenate([unit(z), _unit(embedding)], axis=1)
    expected = _dense(x, [(arrays[f"mapping/Dense{i}/weight"], arrays[f"mapping/Dense{i}/bias"]) for i in (0, 1)], 0.02)
    w = synthesis.map_latents(found, jnp.asarray(z, jnp.float32), jnp.asarray(label, jnp.float32))[:, 0]
    np.testing.assert_allclose(w, expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max())


def test_what_the_first_code_does_not_know_it_ignores():
    """StyleGAN2-ADA's conv_clamp and use_noise; which code it is says the function that
    built the synthesis network.
    """
    arrays, static = stylegan2_files.as_tensorflow(_drawn(TINY))
    static |= {"conv_clamp": 0.5, "use_noise": False}
    for function in ("G_synthesis_stylegan2", "G_synthesis_stylegan_revised"):
        config = stylegan2_tensorflow.configuration(arrays, {**static, "synthesis_func": function})
        assert (config.conv_clamp, config.use_noise) == (None, True)
    config = stylegan2_tensorflow.configuration(arrays, {**static, "synthesis_func": "G_synthesis"})
    assert (config.conv_clamp, config.use_noise) == (0.5, False)


def test_the_first_code_demodulates_scaled_weights():
    """Seen where weights are so small that the epsilon counts."""
    config = stylegan2.Config(z_dim=4, w_dim=4, channels=(3, 4), mapping_layers=1)
    generator = _drawn(config)
    shrink = lambda x: 1e-4 * x if x.shape[:2] == (3, 3) else x  # noqa: E731
    generator = generator._replace(params=jax.tree.map(shrink, generator.params))
    state, source, layers = stylegan2_files.as_pytorch(generator)
    raw = stylegan2_pytorch.convert(state, source, layers)
    scaled = stylegan2_tensorflow.convert(*stylegan2_files.as_tensorflow(generator))
    latents = _latents(raw, count=1)
    images = {}
    for found, rule in ((raw, False), (scaled, True)):
        images[rule] = stylegan2_definition.Definition(state, config, scaled=rule).image(
            np.asarray(latents[0], np.float64)
        )[None]
        assert error(synthesis.synthesize(found, latents), images[rule]) < TOLERANCE
    assert np.abs(images[True] - images[False]).max() > 0.01 * np.abs(images[True]).max()


def test_a_rosinality_file_gives_its_network_back():
    config = dataclasses.replace(
        CONFIGURATIONS["skip"], mapping_layers=2, mapping_width=6, use_noise=True, scaled_demodulation=True
    )
    generator = _drawn(config)
    content = stylegan2_files.as_rosinality(generator)
    _assert_same(stylegan2_rosinality.convert(content), generator)
    _assert_same(stylegan2_rosinality.convert({**content["g_ema"], "latent_avg": content["latent_avg"]}), generator)
    wrapped = {
        "g": {"input.input": np.zeros(1)}, "d": {}, "g_optim": {"state": {0: np.ones(2)}}, "ada_aug_p": 0.1,
        "g_ema": {f"module.{name}": array for name, array in content["g_ema"].items()},
        "latent_avg": content["latent_avg"][None],
    }  # fmt: skip
    _assert_same(stylegan2_rosinality.convert(wrapped), generator)


@pytest.mark.parametrize("embedding", [1, 6])
def test_a_rosinality_file_whose_mapping_has_more_inputs_than_w_may_lack_an_embedding(embedding):
    """It is refused, unless the user gives the size of z: then all inputs are z."""
    config = stylegan2.Config(z_dim=6, w_dim=6, channels=(2, 3), mapping_layers=2, scaled_demodulation=True)
    content = stylegan2_files.as_rosinality(_drawn(config))
    stylegan2_rosinality.convert(content)
    state, inputs = content["g_ema"], 6 + embedding
    wide = np.random.default_rng(0).standard_normal((6, inputs), np.float32)
    content = {**content, "g_ema": {**state, "style.1.weight": wide}}
    with pytest.raises(
        InputError, match=rf"style\.1\.weight: has {inputs} inputs, .* conditional, .* embedding is not"
    ) as failure:
        stylegan2_rosinality.convert(content)
    assert f"--option=z_dim={inputs} if the network has no classes" in str(failure.value)
    found = stylegan2_rosinality.convert(content, z_dim=inputs)
    z = np.random.default_rng(1).standard_normal((3, inputs))
    weights = [(wide.T, state["style.1.bias"]), (state["style.2.weight"].T, state["style.2.bias"])]
    expected = _dense(_unit(z), weights, 0.01)
    w = synthesis.map_latents(found, jnp.asarray(z, jnp.float32))[:, 0]
    np.testing.assert_allclose(w, expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max())
    with pytest.raises(InputError, match=rf"--option=z_dim=6: style\.1\.weight has {inputs} inputs"):
        stylegan2_rosinality.convert(content, z_dim=6)


@pytest.mark.parametrize("layout", ["pytorch", "rosinality"])
def test_rgba_images_are_those_of_the_definition(layout):
    config = dataclasses.replace(
        CONFIGURATIONS["skip"], use_noise=True, image_channels=4, scaled_demodulation=layout == "rosinality"
    )
    generator = _drawn(config)
    if layout == "pytorch":
        found = stylegan2_pytorch.convert(*stylegan2_files.as_pytorch(generator))
    else:
        found = stylegan2_rosinality.convert(stylegan2_files.as_rosinality(generator))
    latents = _latents(found)
    state = stylegan2_files.as_pytorch(generator)[0]
    definition = stylegan2_definition.Definition(state, config, scaled=config.scaled_demodulation)
    expected = np.stack([definition.image(ws.astype(np.float64)) for ws in np.asarray(latents)])
    assert expected.shape[1] == 4
    assert error(synthesis.synthesize(found, latents), expected) < 1e-5


def test_a_rosinality_file_maps_at_the_learning_rate_that_it_is_said_to_have():
    generator = _drawn(dataclasses.replace(TINY, scaled_demodulation=True))
    content = stylegan2_files.as_rosinality(generator)
    state, z = content["g_ema"], np.random.default_rng(1).standard_normal((4, 2))
    weights = [(state[f"style.{i}.weight"].T, state[f"style.{i}.bias"]) for i in (1, 2)]
    for rate in (0.01, 0.5):
        expected = _dense(_unit(z), weights, rate)
        w = synthesis.map_latents(stylegan2_rosinality.convert(content, lr_mlp=rate), jnp.asarray(z, jnp.float32))[:, 0]
        np.testing.assert_allclose(w, expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max())


def test_a_rosinality_file_may_blur_its_convolutions_otherwise_than_its_image():
    """Its blur_kernel is of the convolutions alone."""
    config = dataclasses.replace(
        CONFIGURATIONS["skip"], mapping_layers=2, mapping_width=6, use_noise=True, scaled_demodulation=True,
        image_filter=(1.0, 3.0, 3.0, 1.0),
    )  # fmt: skip
    generator = _drawn(config)
    found = stylegan2_rosinality.convert(stylegan2_files.as_rosinality(generator))
    _assert_same(found, generator)
    latents = _latents(found)
    definition = stylegan2_definition.Definition(stylegan2_files.as_pytorch(generator)[0], config, scaled=True)
    expected = np.stack([definition.image(ws.astype(np.float64)) for ws in np.asarray(latents)])
    assert error(synthesis.synthesize(found, latents), expected) < 1e-5


def test_what_a_training_runs_file_has_not_is_made_always_the_same():
    """Noise images, and the mean w: against another sample, within five standard errors
    in every coordinate.
    """
    config = stylegan2.Config(z_dim=5, w_dim=5, channels=(2, 2, 2, 2), mapping_layers=2, scaled_demodulation=True)
    generator = _drawn(config)
    state = stylegan2_files.as_rosinality(generator)["g_ema"]
    state = {name: array for name, array in state.items() if not name.startswith("noises.")}
    found, again = (stylegan2_rosinality.convert({"g_ema": state}) for _ in range(2))
    jax.tree.map(np.testing.assert_array_equal, found.params, again.params)
    w = np.asarray(synthesis.map_latents(found, jax.random.normal(jax.random.key(7), (4000, 5)))[:, 0])
    allowed = 5.0 * w.std(0) * np.sqrt(1 / 4000 + 1 / 10_000)
    assert (np.abs(w.mean(0) - np.asarray(found.params["mapping"]["w_avg"])) < allowed).all()
    images = [found.params["synthesis"]["b32"][layer]["noise_const"] for layer in ("conv0", "conv1")]
    assert abs(np.mean(images)) < 0.1 and abs(np.std(images) - 1.0) < 0.1
    assert abs(np.mean(images[0] * images[1])) < 0.15


def test_a_mean_w_that_a_pytorch_file_was_trained_without_is_that_of_all_classes_alike():
    """Against another sample, within five standard errors in every coordinate."""
    generator = _drawn(CONFIGURATIONS["orig"])
    state, source, layers = stylegan2_files.as_pytorch(generator)
    source["mapping_kwargs"]["w_avg_beta"] = None
    found = stylegan2_pytorch.convert(_without(state, "mapping.w_avg"), source, layers)
    z, label = jax.random.normal(jax.random.key(7), (3000, 7)), jnp.tile(jnp.eye(3), (1000, 1))
    w = np.asarray(synthesis.map_latents(found, z, label)[:, 0])
    allowed = 5.0 * w.std(0) * np.sqrt(1 / 3000 + 1 / 10_000)
    assert (np.abs(w.mean(0) - np.asarray(found.params["mapping"]["w_avg"])) < allowed).all()
    found.params["mapping"]["w_avg"] = generator.params["mapping"]["w_avg"]
    _assert_same(found, generator)


# What cannot be converted.

TINY = stylegan2.Config(z_dim=2, w_dim=3, channels=(2, 3), mapping_layers=2)


def _files():
    """Format -> (its arrays, what converts them)."""
    generator = _drawn(TINY)
    state, source, layers = stylegan2_files.as_pytorch(generator)
    arrays, static = stylegan2_files.as_tensorflow(generator)
    content = stylegan2_files.as_rosinality(generator)
    return {
        "pytorch": (state, lambda changed: stylegan2_pytorch.convert(changed, source, layers)),
        "tensorflow": (arrays, lambda changed: stylegan2_tensorflow.convert(changed, static)),
        "rosinality": (content["g_ema"], lambda changed: stylegan2_rosinality.convert({**content, "g_ema": changed})),
    }


NAMES = {
    "pytorch": (
        "synthesis.b4.const", "synthesis.b8.conv0.affine.weight", "synthesis.b4.torgb.weight", "mapping.w_avg",
        "mapping.fc1.bias", "synthesis.b8.conv0.resample_filter", "synthesis.b8.resample_filter",
    ),
    "tensorflow": (
        "synthesis/4x4/Const/const", "synthesis/8x8/Conv0_up/mod_bias", "synthesis/noise2", "mapping/Dense0/bias",
        "dlatent_avg", "synthesis/8x8/Conv1/noise_strength", "synthesis/4x4/ToRGB/weight",
    ),
    "rosinality": (
        "input.input", "convs.0.conv.weight", "noises.noise_1", "style.1.bias", "convs.1.noise.weight",
        "to_rgbs.0.bias", "to_rgbs.0.upsample.kernel",
    ),
}  # fmt: skip
GIVE_WIDTHS = {
    "pytorch": ("synthesis.b4.conv1.bias",),
    "tensorflow": ("mapping/Dense0/weight", "mapping/Dense1/weight", "synthesis/8x8/Conv1/bias"),
    "rosinality": ("style.1.weight", "to_rgb1.bias", "convs.1.activate.bias"),
}

EXTRA = {"pytorch": "synthesis.b16.const", "tensorflow": "synthesis/8x8/Conv2/bias", "rosinality": "input.output"}


@pytest.mark.parametrize("source", NAMES)
def test_parameters_that_do_not_fit_are_named(source):
    arrays, convert = _files()[source]
    convert(arrays)

    def refused(name, message, changed):
        with pytest.raises(InputError, match=f"parameter {name}: {message}") as failure:
            convert(changed)
        assert "\n" not in str(failure.value)

    for name in NAMES[source] + GIVE_WIDTHS[source]:
        refused(name, "missing from the file", _without(arrays, name))
        shape, misfit = arrays[name].shape, "(has shape|not the)"
        refused(name, misfit, {**arrays, name: np.ones((2, *shape), np.float32)})
        if name in NAMES[source]:
            refused(name, misfit, {**arrays, name: np.ones((*shape[:-1], shape[-1] + 1) if shape else 2, np.float32)})
    extra = EXTRA[source]
    refused(extra, "nothing in this architecture uses it", {**arrays, extra: np.zeros(1)})


def test_what_the_pytorch_arguments_cannot_mean_is_named():
    state, source, layers = stylegan2_files.as_pytorch(_drawn(TINY))

    def refused(message, *, arguments=(), synthesis=(), mapping=(), clamps=layers):
        changed = {**source, **dict(arguments)}
        for part_name, entries in (("synthesis_kwargs", synthesis), ("mapping_kwargs", mapping)):
            changed[part_name] = {**source[part_name], **dict(entries)}
        with pytest.raises(InputError, match=message):
            stylegan2_pytorch.convert(state, changed, clamps)

    with pytest.raises(InputError, match="constructor argument w_dim: missing"):
        stylegan2_pytorch.convert(state, _without(source, "w_dim"), layers)
    refused("argument colours: not known", arguments={"colours": 3})
    refused("argument depth: not known", mapping={"depth": 3})
    refused("argument activation='relu': only 'lrelu' converts", synthesis={"activation": "relu"})
    refused("argument activation='relu': only 'lrelu' converts", mapping={"activation": "relu"})
    refused("argument architecture='plain': there are orig, skip, resnet", synthesis={"architecture": "plain"})
    refused("argument z_dim=0: must be at least 1", arguments={"z_dim": 0})
    refused("argument num_layers=0: must be at least 1", mapping={"num_layers": 0})
    refused("argument img_resolution=24: must be a power of two", arguments={"img_resolution": 24})
    refused("resample_filter=None: only a row", synthesis={"resample_filter": None})
    refused(r"b8\.conv0\.resample_filter: not the filter", synthesis={"resample_filter": [1, 2, 2, 1]})
    refused(
        "conv_clamp: None in .* and 3.0 in .*conv0; all layers must have the same",
        clamps={**layers, "synthesis.b8.conv0": 3},
    )
    refused("conv_clamp: no layer has it", clamps={})
    refused(r"conv_clamp of synthesis\.b8\.skip: 2", clamps={**layers, "synthesis.b8.skip": 2.0})


def test_what_the_tensorflow_arguments_cannot_mean_is_named():
    arrays, static = stylegan2_files.as_tensorflow(_drawn(TINY))
    configuration = stylegan2_tensorflow.configuration
    with pytest.raises(InputError, match="nonlinearity='relu': only networks with lrelu convert"):
        configuration(arrays, {**static, "mapping_nonlinearity": "relu"})
    with pytest.raises(InputError, match="synthesis_func='G_other': only networks with G_synthesis_stylegan2 or"):
        configuration(arrays, {**static, "synthesis_func": "G_other"})
    with pytest.raises(InputError, match="a network of StyleGAN, or of StyleGAN2's configuration A"):
        configuration({**arrays, "synthesis/4x4/Conv/StyleMod/weight": np.zeros(1)}, static)
    with pytest.raises(InputError, match="LabelEmbed/weight: 4 wide, mapping/Dense0 has 2 inputs with z"):
        configuration({**arrays, "mapping/LabelEmbed/weight": np.zeros((5, 4))}, static)
    assert configuration(arrays, {**static, "resample_kernel": None}).resample_filter == (1.0, 1.0)
    defaults = configuration(arrays)
    assert (defaults.architecture, defaults.mapping_learning_rate, defaults.conv_clamp) == ("skip", 0.01, None)


def test_what_a_rosinality_file_cannot_mean_is_named():
    content = stylegan2_files.as_rosinality(_drawn(TINY))
    kernel = content["g_ema"]["convs.0.conv.blur.kernel"]
    for wrong in (kernel / 4, kernel + np.eye(4, dtype=np.float32), np.zeros_like(kernel)):
        changed = {**content["g_ema"], "convs.0.conv.blur.kernel": wrong, "to_rgbs.0.upsample.kernel": wrong}
        with pytest.raises(InputError, match=r"convs\.0\.conv\.blur\.kernel: not the one separable filter"):
            stylegan2_rosinality.convert({**content, "g_ema": changed})
    for mean in (np.arange(15.0).reshape(5, 3), np.zeros((4, 2)), np.zeros((2, 4, 3)), np.zeros(())):
        with pytest.raises(InputError, match=r"latent_avg: has shape \(.*\), needed is \(3,\), \(1, 3\) or \(4, 3\)"):
            stylegan2_rosinality.convert({**content, "latent_avg": mean.astype(np.float32)})
    with pytest.raises(InputError, match="g_ema: holds list"):
        stylegan2_rosinality.convert({"g_ema": [1]})
    bare = {name: array for name, array in content["g_ema"].items() if not name.endswith(".kernel")}
    assert stylegan2_rosinality.configuration(bare).resample_filter == (1.0, 3.0, 3.0, 1.0)
