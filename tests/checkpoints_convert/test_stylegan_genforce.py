"""genforce's StyleGAN: the official networks in its layouts make the reference's
images.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from checkpoints_convert import formats, networks, stylegan_genforce, stylegan_tensorflow
from ganspace_jax.errors import InputError
from ganspace_jax.generators import stylegan, synthesis, zoo
from tests import genforce_files
from tests.golden_arrays import error, load, part


@pytest.fixture(scope="module", params=["stylegan1_tf_64", "stylegan1_tf_128_fused"])
def golden(request):
    arrays = load(request.param)
    return arrays, genforce_files.stylegan_from_tensorflow(part(arrays, "param/"))


def _recognized(state):
    content = {"discriminator": {"input0.weight": np.zeros((2, 3, 1, 1), np.float32)}, "generator_smooth": state}
    return formats.recognize(formats.Source("x", "torch file", networks.find(content, {})))


def _assert_equal(found, expected):
    assert found.merge().config == expected.merge().config
    jax.tree.map(np.testing.assert_array_equal, found.params, expected.params)


def test_both_layouts_make_the_reference_images(golden):
    """In both, layers are fused from 128 pixels, as in the official network."""
    arrays, state = golden
    older = genforce_files.as_interfacegan(state, fused_from=128)
    assert ("synthesis.layer10.weight" in older) is ("synthesis.layer10.weight" in state)
    for layout in (state, older):
        found, network = _recognized(layout)
        assert found.name == "stylegan_genforce"
        generator = formats.convert(found, network, {}, "x")
        latents = synthesis.map_latents(generator, jnp.asarray(arrays["input/z"]))
        assert error(latents[:, 0], arrays["output/w"]) < 1e-4
        assert error(synthesis.synthesize(generator, latents), arrays["output/image"]) < 1e-4
        np.testing.assert_array_equal(generator.params["mapping"]["w_avg"], arrays["param/dlatent_avg"])
        source = stylegan_tensorflow.convert(part(arrays, "param/"), arrays["config"]["G_static_kwargs"])
        _assert_equal(generator, source)


@pytest.mark.parametrize(("fused_scale", "sides"), [(1, (8, 16, 32, 64, 128)), (0, ())])
def test_fused_layers_are_those_that_the_option_says_or_that_interfacegan_stores(fused_scale, sides):
    arrays = load("stylegan1_tf_128_fused")
    state = genforce_files.stylegan_from_tensorflow(part(arrays, "param/"))
    static = {**arrays["config"]["G_static_kwargs"], "fused_scale": bool(fused_scale)}
    expected = stylegan_tensorflow.convert(part(arrays, "param/"), static)
    _assert_equal(stylegan_genforce.convert(state, {"fused_scale": fused_scale}), expected)
    older = genforce_files.as_interfacegan(state, fused_from=min(sides, default=math.inf))
    found = stylegan_genforce.convert(older)
    jax.tree.map(np.testing.assert_array_equal, found.params, expected.params)


def _small(**settings):
    config = stylegan.Config(z_dim=5, w_dim=6, channels=(4, 3), mapping_layers=2, mapping_width=7, **settings)
    abstract, rng = zoo.abstract_generator("stylegan", config), np.random.default_rng(0)
    draw = lambda x: jnp.asarray(rng.standard_normal(x.shape, np.float32))  # noqa: E731
    generator = abstract._replace(params=jax.tree.map(draw, abstract.params))
    return generator, _as_genforce(generator)


def _as_genforce(generator):
    """Returns the arrays of a small generator of ours with genforce's names."""
    mapping, blocks = generator.params["mapping"], generator.params["synthesis"]
    state = {"truncation.w_avg": mapping["w_avg"]}
    for index in range(2):
        state[f"mapping.dense{index}.weight"] = mapping[f"dense{index}"]["weight"].T
        state[f"mapping.dense{index}.bias"] = mapping[f"dense{index}"]["bias"]
    if "label_concat" in mapping:
        state["mapping.label_weight"] = mapping["label_concat"]
    b4, b8 = blocks["b4"], blocks["b8"]
    state["synthesis.layer0.const"] = b4["const"].transpose(2, 0, 1)[None]
    state["synthesis.layer0.bias"] = b4["bias"]
    for layer, convolution in ((1, b4["conv"]), (2, b8["conv0_up"]), (3, b8["conv1"])):
        state[f"synthesis.layer{layer}.weight"] = convolution["weight"].transpose(3, 2, 0, 1)
        state[f"synthesis.layer{layer}.bias"] = convolution["bias"]
    for layer, epilogue in enumerate((b4["epi1"], b4["epi2"], b8["epi1"], b8["epi2"])):
        state[f"synthesis.layer{layer}.apply_noise.weight"] = epilogue["noise_weight"]
        state[f"synthesis.layer{layer}.apply_noise.noise"] = epilogue["noise_const"][None, None]
        state[f"synthesis.layer{layer}.style.weight"] = epilogue["style"]["weight"].T
        state[f"synthesis.layer{layer}.style.bias"] = epilogue["style"]["bias"]
    state["synthesis.output0.bias"] = np.zeros(3)
    state["synthesis.output1.weight"] = blocks["torgb"]["weight"].transpose(3, 2, 0, 1)
    state["synthesis.output1.bias"] = blocks["torgb"]["bias"]
    return {name: np.asarray(array) for name, array in state.items()}


def test_labels_join_z_before_both_are_normalised():
    generator, state = _small(num_classes=3, embed_width=4)
    found = stylegan_genforce.convert(state)
    _assert_equal(found, generator)
    z, label = np.random.default_rng(1).standard_normal((3, 5)), np.eye(3)
    x = np.concatenate([z, label @ state["mapping.label_weight"]], axis=1)
    x = x / np.sqrt((x**2).mean(1, keepdims=True) + 1e-8)
    for layer in range(2):
        weight, bias = (state[f"mapping.dense{layer}.{leaf}"].astype(np.float64) for leaf in ("weight", "bias"))
        x = x @ weight.T * 0.01 * math.sqrt(2 / weight.shape[1]) + 0.01 * bias
        x = np.where(x > 0, x, 0.2 * x)
    w = synthesis.map_latents(found, jnp.asarray(z, jnp.float32), jnp.asarray(label, jnp.float32))[:, 0]
    np.testing.assert_allclose(w, x, rtol=1e-4, atol=1e-5 * np.abs(x).max())


def test_weights_without_a_scale_are_divided_by_the_factor_of_our_layers():
    generator, state = _small()
    gains = lambda name: 1.0 if "style" in name or "output" in name else math.sqrt(2)  # noqa: E731
    scaled = {
        name: array * np.float32(gains(name) / math.sqrt(array[0].size))
        if name.endswith(".weight") and "apply_noise" not in name
        else array
        for name, array in state.items()
    }
    found = stylegan_genforce.convert(scaled, {"use_wscale": 0, "lr_mul": 0.01})
    close = lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)  # noqa: E731
    jax.tree.map(close, found.params, generator.params)
    assert stylegan_genforce.convert(state, {"lr_mul": 0.5}).merge().config.mapping_learning_rate == 0.5


def test_what_a_file_leaves_out_is_made_always_the_same():
    _, state = _small()
    bare = {name: array for name, array in state.items() if not name.endswith((".noise", "w_avg"))}
    found, again = (stylegan_genforce.convert(bare) for _ in range(2))
    jax.tree.map(np.testing.assert_array_equal, found.params, again.params)
    w = np.asarray(synthesis.map_latents(found, jax.random.normal(jax.random.key(7), (4000, 5)))[:, 0])
    allowed = 5.0 * w.std(0) * np.sqrt(1 / 4000 + 1 / 10_000)
    assert (np.abs(w.mean(0) - np.asarray(found.params["mapping"]["w_avg"])) < allowed).all()
    assert np.std(found.params["synthesis"]["b8"]["epi2"]["noise_const"]) > 0.5


def test_what_does_not_fit_is_named():
    _, state = _small()

    def refused(message, changes, *left_out, **options):
        changed = {name: array for name, array in {**state, **changes}.items() if name not in left_out}
        with pytest.raises(InputError, match=message) as failure:
            stylegan_genforce.convert(changed, options)
        assert "\n" not in str(failure.value)

    for name in (
        "mapping.dense1.bias", "synthesis.layer0.const", "synthesis.layer2.weight", "synthesis.layer3.style.bias",
        "synthesis.layer3.apply_noise.weight", "synthesis.layer1.apply_noise.noise", "synthesis.output1.weight",
    ):  # fmt: skip
        refused(f"parameter {name}: missing from the file", {}, name)
        refused(f"parameter {name}: has shape", {name: np.ones((2, *state[name].shape), np.float32)})
    refused("synthesis.extra: nothing in this architecture uses it", {"synthesis.extra": np.ones(2)})
    refused("synthesis.lod: is 1.5, so this network is still growing", {"synthesis.lod": np.float32(1.5)})
    refused(r"layer0\.weight: .*const_input=False", {"synthesis.layer0.weight": np.ones((4, 6, 4, 4))})
    refused(r"mapping\.dense1\.weight: makes 24 numbers, but w has 6", {"mapping.dense1.weight": np.ones((24, 7))})
    kernel = np.ones((3, 1, 3, 3), np.float32)
    kernel[1, 0, 0, 0] = 2
    refused(r"layer2\.blur\.kernel: not the one separable blur", {"synthesis.layer2.blur.kernel": kernel})
    refused("--option=fused_scale=3: must be 0 or 1", {}, fused_scale=3)
