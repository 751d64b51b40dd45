"""genforce's StyleGAN2: its arrays mean what the code's forward pass computes, in
float64.
"""

import dataclasses
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from checkpoints_convert import formats, networks, stylegan2_genforce
from ganspace_jax.errors import InputError
from ganspace_jax.generators import stylegan2, synthesis, zoo
from tests import genforce_files, stylegan2_definition, stylegan2_files
from tests.golden_arrays import error

PLAIN = stylegan2.Config(z_dim=5, w_dim=6, channels=(4, 3, 2), mapping_layers=2, scaled_demodulation=True)
PLAIN = dataclasses.replace(PLAIN, mapping_width=6)
CONFIGURATIONS = {
    "skip": PLAIN,
    "origin": dataclasses.replace(PLAIN, architecture="orig", image_channels=1),
    "without noise": dataclasses.replace(PLAIN, use_noise=False, image_channels=4, mapping_layers=1, mapping_width=None),
    "filters": dataclasses.replace(
        PLAIN, resample_filter=(1.0, 2.0, 4.0, 1.0), image_filter=(1.0, 3.0, 3.0, 1.0), channels=(2, 2)
    ),
    "classes": dataclasses.replace(PLAIN, num_classes=3, embed_width=4, label_normalization="joint"),
    "classes of ADA": dataclasses.replace(PLAIN, num_classes=3, embed_width=4),
}  # fmt: skip


def _drawn(config):
    abstract, rng = zoo.abstract_generator("stylegan2", config), np.random.default_rng(0)
    return abstract._replace(
        params=jax.tree.map(lambda x: jnp.asarray(rng.standard_normal(x.shape, np.float32)), abstract.params)
    )


def _assert_close(found, expected):
    assert found.merge().config == expected.merge().config
    close = lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)  # noqa: E731
    jax.tree.map(close, found.params, expected.params)


def _unit(x):
    return x / np.sqrt((x**2).mean(1, keepdims=True) + 1e-8)


def _w(state, z, label):
    """Returns w in float64, by the mapping network of the code."""
    if "mapping.label_weight" in state:
        x = _unit(np.concatenate([z, label @ state["mapping.label_weight"]], axis=1))
    elif "mapping.LabelEmbed.weight" in state:
        embedding = label @ state["mapping.LabelEmbed.weight"].T / math.sqrt(3) + state["mapping.LabelEmbed.bias"]
        x = np.concatenate([_unit(z), _unit(embedding)], axis=1)
    else:
        x = _unit(z)
    for layer in range(sum(name.startswith("mapping.dense") for name in state) // 2):
        weight, bias = (state[f"mapping.dense{layer}.{leaf}"].astype(np.float64) for leaf in ("weight", "bias"))
        x = x @ (weight * 0.01 / math.sqrt(weight.shape[1])).T + 0.01 * bias
        x = np.where(x > 0, x, 0.2 * x) * math.sqrt(2)
    return x


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_a_file_means_what_its_definition_says(name):
    config = CONFIGURATIONS[name]
    generator = _drawn(config)
    state = genforce_files.as_stylegan2(generator)
    found = stylegan2_genforce.convert(state)
    _assert_close(found, generator)
    latents = jax.random.normal(jax.random.key(2), (2, *found.merge().latent_shape))
    definition = stylegan2_definition.Definition(stylegan2_files.as_pytorch(generator)[0], config, scaled=True)
    expected = np.stack([definition.image(ws.astype(np.float64)) for ws in np.asarray(latents)])
    assert error(synthesis.synthesize(found, latents), expected) < 1e-5
    z, label = np.random.default_rng(1).standard_normal((3, 5)), np.eye(3)
    given = jnp.asarray(label, jnp.float32) if config.num_classes else None
    expected = _w(state, z, label)
    w = synthesis.map_latents(found, jnp.asarray(z, jnp.float32), given)[:, 0]
    np.testing.assert_allclose(w, expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max())


def test_weights_without_a_scale_are_divided_by_the_factor_of_our_layers():
    generator = _drawn(PLAIN)
    state = genforce_files.as_stylegan2(generator)
    scaled = {
        name: array / np.float32(math.sqrt(array[0].size)) if name.endswith("weight") else array
        for name, array in state.items()
    }
    _assert_close(stylegan2_genforce.convert(scaled, {"use_wscale": 0.0}), generator)
    with pytest.raises(InputError, match="--option=use_wscale=2: must be 0 or 1"):
        stylegan2_genforce.convert(state, {"use_wscale": 2.0})
    assert stylegan2_genforce.configuration(state, {"lr_mul": 0.1}).mapping_learning_rate == 0.1


def test_the_moving_average_is_preferred_among_a_training_runs_networks():
    state = genforce_files.as_stylegan2(_drawn(PLAIN))
    judge = {"input0.weight": np.zeros((2, 3, 1, 1), np.float32), "layer0.weight": np.zeros((2, 2, 3, 3), np.float32)}
    older = {name: array + 1 for name, array in state.items()}
    for content in (
        {"generator": older, "discriminator": judge, "generator_smooth": state},
        {"models": {"generator": older, "discriminator": judge, "generator_smooth": state}},
    ):
        source = formats.Source("x", "torch file", networks.find(content, {}))
        found, network = formats.recognize(source)
        assert (found.name, network.name.split(".")[-1]) == ("stylegan2_genforce", "generator_smooth")
    assert formats.recognize(source, "auto", "models.generator")[1].name == "models.generator"


def test_a_mean_w_may_be_stored_once_for_each_layer():
    generator = _drawn(PLAIN)
    state = genforce_files.as_stylegan2(generator)
    mean = state["truncation.w_avg"]
    for stored in (np.tile(mean, (6, 1)), np.tile(mean, 6), mean[None]):
        _assert_close(stylegan2_genforce.convert({**state, "truncation.w_avg": stored}), generator)
    rows = np.stack([mean, mean + 1])
    for wrong, message in ((rows, "has 2 different rows"), (mean[:5], r"has shape \(5,\), but w has 6")):
        with pytest.raises(InputError, match=rf"parameter truncation\.w_avg: {message}"):
            stylegan2_genforce.convert({**state, "truncation.w_avg": wrong})


def test_what_a_file_leaves_out_is_made_always_the_same():
    """A mean w: against another sample, within five standard errors. Noise images: of
    unit variance, and different.
    """
    state = genforce_files.as_stylegan2(_drawn(dataclasses.replace(PLAIN, channels=(2, 2, 2, 2))))
    bare = {name: a for name, a in state.items() if not name.endswith((".noise", "w_avg", "kernel"))}
    found, again = (stylegan2_genforce.convert(bare) for _ in range(2))
    jax.tree.map(np.testing.assert_array_equal, found.params, again.params)
    assert found.merge().config.resample_filter == (1.0, 3.0, 3.0, 1.0)
    w = np.asarray(synthesis.map_latents(found, jax.random.normal(jax.random.key(7), (4000, 5)))[:, 0])
    allowed = 5.0 * w.std(0) * np.sqrt(1 / 4000 + 1 / 10_000)
    assert (np.abs(w.mean(0) - np.asarray(found.params["mapping"]["w_avg"])) < allowed).all()
    images = [np.asarray(found.params["synthesis"]["b32"][layer]["noise_const"]) for layer in ("conv0", "conv1")]
    assert abs(np.std(images) - 1.0) < 0.1 and abs(np.mean(images[0] * images[1])) < 0.15


def test_what_does_not_fit_is_named():
    state = genforce_files.as_stylegan2(_drawn(PLAIN))

    def refused(message, changes, *left_out):
        changed = {name: array for name, array in {**state, **changes}.items() if name not in left_out}
        with pytest.raises(InputError, match=message) as failure:
            stylegan2_genforce.convert(changed)
        assert "\n" not in str(failure.value)

    for name in (
        "mapping.dense0.weight", "mapping.dense1.bias", "synthesis.early_layer.const", "synthesis.layer1.weight",
        "synthesis.layer3.noise", "synthesis.layer3.noise_strength", "synthesis.output1.style.bias",
    ):  # fmt: skip
        refused(f"parameter {name}: missing from the file", {}, name)
        refused(f"parameter {name}: has shape", {name: np.ones((2, *state[name].shape), np.float32)})
    refused(r"parameter synthesis\.layer6\.bias: missing from the file", {"synthesis.layer9.weight": np.ones(2)})
    refused("synthesis.extra: nothing in this architecture uses it", {"synthesis.extra": np.ones(2, np.float32)})
    refused(r"early_layer\.weight: .*const_input=False", {"synthesis.early_layer.weight": np.ones((2, 2))})
    refused("parameter w_avg: the mean w of bytedance/Hammer", {"w_avg": np.zeros(6)}, "truncation.w_avg")
    refused("skip_layer0.weight: architecture 'resnet'", {"synthesis.skip_layer0.weight": np.ones((2, 2, 1, 1))})
    wide = {"mapping.dense1.weight": np.ones((36, 6), np.float32), "mapping.dense1.bias": np.ones(36, np.float32)}
    refused(r"mapping\.dense1\.weight: makes 36 numbers, but w has 6; .*repeat_w", wide)
    kernel = state["synthesis.layer3.filter.kernel"]
    refused(r"layer3\.filter\.kernel: not the one separable filter", {"synthesis.layer3.filter.kernel": kernel / 4})
