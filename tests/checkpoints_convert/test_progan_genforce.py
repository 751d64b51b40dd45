"""genforce's ProGAN: the official network in its layouts makes the reference's images,
and a conditional one those of its definition in float64.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view

from checkpoints_convert import formats, networks, progan_genforce, progan_netdissect
from ganspace_jax.errors import InputError
from ganspace_jax.generators import synthesis
from tests import genforce_files
from tests.golden_arrays import error, load, part


@pytest.fixture(scope="module")
def golden():
    arrays = load("progan_32")
    return arrays, genforce_files.progan_from_tensorflow(part(arrays, "param_tf/"))


def _older(state):
    """Returns a state dict with interfacegan's names."""
    older = {}
    for name, array in state.items():
        layer, _, leaf = name.partition(".")
        leaf = {"weight": "conv.weight", "bias": "wscale.bias"}.get(leaf)
        if layer.startswith("layer"):
            older[f"layer{int(layer[5:]) + 1}.{leaf}"] = array
        elif layer == "output3":
            older[f"output_32x32.{leaf}"] = array
    return older


def _fused(state):
    """Returns a state dict whose up-sampling kernels are IOHW and rotated."""
    ups = {f"layer{layer}.weight" for layer in range(2, 8, 2)}
    return {name: a.transpose(1, 0, 2, 3)[..., ::-1, ::-1] if name in ups else a for name, a in state.items()}


def _assert_equal(found, expected):
    assert found.merge().config == expected.merge().config
    jax.tree.map(np.testing.assert_array_equal, found.params, expected.params)


def test_every_layout_is_the_reference_network(golden):
    arrays, state = golden
    judge = {
        "input0.weight": np.zeros((2, 3, 1, 1)),
        "layer0.weight": np.zeros((2, 2, 3, 3)),
        "layer1.bias": np.zeros(2),
    }
    judge["output0.weight"] = np.zeros((1, 2))
    expected = progan_netdissect.convert(part(arrays, "param/"))
    for layout in (state, _older(state), _fused(state)):
        content = {"discriminator": judge, "generator": {}, "generator_smooth": layout}
        found, network = formats.recognize(formats.Source("x", "torch file", networks.find(content, {})))
        assert (found.name, network.name) == ("progan_genforce", "generator_smooth")
        assert "--option=label_size=NUMBER" in found.note
        _assert_equal(formats.convert(found, network, {}, "x"), expected)
    image = synthesis.synthesize(expected, synthesis.map_latents(expected, jnp.asarray(arrays["input/z"])))
    assert error(image, arrays["output/image"]) < 1e-4


def _drawn(channels, inputs):
    """Returns the arrays of a network that is not fused."""
    rng, state, before = np.random.default_rng(0), {"lod": np.float32(0)}, inputs
    for index, width in enumerate(channels):
        for layer, size in ((2 * index, 3 if index else 4), (2 * index + 1, 3)):
            state[f"layer{layer}.weight"] = rng.standard_normal((width, before, size, size)).astype(np.float32)
            state[f"layer{layer}.bias"] = rng.standard_normal(width).astype(np.float32)
            before = width
        state[f"output{index}.weight"] = rng.standard_normal((3, width, 1, 1)).astype(np.float32)
        state[f"output{index}.bias"] = rng.standard_normal(3).astype(np.float32)
    return state


def _image(state, z, label):
    """Returns the image of one sample by the code's forward pass, in float64."""
    state = {name: array.astype(np.float64) for name, array in state.items()}
    x = np.concatenate([_unit(z), label])[:, None, None]
    blocks = sum(name.startswith("output") for name in state) // 2
    for layer in range(2 * blocks):
        x = _unit(x)
        if layer > 1 and layer % 2 == 0:
            x = x.repeat(2, 1).repeat(2, 2)
        weight = state[f"layer{layer}.weight"]
        x = _correlate(x, weight * math.sqrt(2 / weight[0].size), 1 if layer else 3)
        x = x + state[f"layer{layer}.bias"][:, None, None]
        x = np.where(x > 0, x, 0.2 * x)
    weight = state[f"output{blocks - 1}.weight"]
    image = _correlate(_unit(x), weight / math.sqrt(weight[0].size), 0)
    return image + state[f"output{blocks - 1}.bias"][:, None, None]


def _unit(x):
    return x / np.sqrt((x**2).mean(0, keepdims=True) + 1e-8)


def _correlate(x, kernel, padding):
    x = np.pad(x, ((0, 0), (padding, padding), (padding, padding)))
    return np.einsum("ihwkl,oikl->ohw", sliding_window_view(x, kernel.shape[2:], axis=(1, 2)), kernel)


def test_a_label_joins_z_that_is_normalised_alone():
    state = _drawn((4, 3, 2), inputs=7)
    found = progan_genforce.convert(state, {"label_size": 2})
    assert (found.z_dim, found.num_classes) == (5, 2)
    z, label = 2.0 * np.random.default_rng(1).standard_normal((3, 5)), np.eye(2)[[0, 1, 0]]
    expected = np.stack([_image(state, *one) for one in zip(z, label, strict=True)])
    given = jnp.asarray(label, jnp.float32)
    image = synthesis.synthesize(found, synthesis.map_latents(found, jnp.asarray(z, jnp.float32), given), label=given)
    assert error(image, expected) < 1e-4


def test_weights_without_a_scale_are_divided_by_the_factor_of_our_layers():
    state = _drawn((4, 3, 2), inputs=5)
    gain = lambda name: 1.0 if name.startswith("output") else math.sqrt(2)  # noqa: E731
    scaled = {
        name: array * np.float32(gain(name) / math.sqrt(array[0].size)) if name.endswith("weight") else array
        for name, array in state.items()
    }
    expected = progan_genforce.convert(state).params
    for layout in (scaled, _fused(scaled)):
        found = progan_genforce.convert(layout, {"use_wscale": 0})
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5), found.params, expected)


def test_layers_of_equal_widths_are_fused_if_the_option_says_so():
    state = _drawn((4, 4, 4), inputs=5)
    expected = progan_genforce.convert(state)
    _assert_equal(progan_genforce.convert(_fused(state), {"fused_scale": 1}), expected)
    _assert_equal(progan_genforce.convert(state, {"fused_scale": 0}), expected)


def test_what_does_not_fit_is_named():
    state = _drawn((4, 3, 2), inputs=5)

    def refused(message, changes, *left_out, **options):
        changed = {name: array for name, array in {**state, **changes}.items() if name not in left_out}
        with pytest.raises(InputError, match=message) as failure:
            progan_genforce.convert(changed, options)
        assert "\n" not in str(failure.value)

    for name in ("layer0.weight", "layer3.weight", "layer2.bias", "output2.weight", "output2.bias"):
        refused(f"parameter {name}: missing from the file", {}, name)
        refused(f"parameter {name}: has shape", {name: np.ones((2, *state[name].shape), np.float32)})
    refused("parameter extra: nothing in this architecture uses it", {"extra": np.ones(2)})
    refused("parameter lod: is 0.5, so this network is still growing", {"lod": np.float32(0.5)})
    refused("--option=label_size=5: must be a whole number from 0 to 4", {}, label_size=5)
    refused("--option=label_size=1.5: must be a whole number", {}, label_size=1.5)
    refused("--option=use_wscale=2: must be 0 or 1", {}, use_wscale=2)
