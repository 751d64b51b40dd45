"""lucidrains' StyleGAN2: its arrays mean what the code's forward pass computes, in
float64.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view

from checkpoints_convert import formats, networks, stylegan2_lucidrains
from ganspace_jax.errors import InputError
from ganspace_jax.generators import synthesis
from tests.golden_arrays import error

WIDTH, CHANNELS = 6, (5, 3, 4)


def _drawn(*, image_channels=3, depth=2, constant=True, first_version=False, attention=(), seed=0):
    """Returns the arrays of S and G."""
    rng, state = np.random.default_rng(seed), {}

    def draw(name, *shape, scale=1.0):
        state[name] = (scale * rng.standard_normal(shape)).astype(np.float32)

    def linear(name, inputs, outputs):
        draw(f"{name}.weight", outputs, inputs)
        draw(f"{name}.bias", outputs)

    for layer in range(depth):
        linear(f"S.net.{2 * layer}", WIDTH, WIDTH)
    if constant:
        draw("G.initial_block", 1, CHANNELS[0], 4, 4)
    else:
        draw("G.to_initial_block.weight", WIDTH, CHANNELS[0], 4, 4)
    if not first_version:
        draw("G.initial_conv.weight", CHANNELS[0], CHANNELS[0], 3, 3, scale=0.3)
        draw("G.initial_conv.bias", CHANNELS[0])
    before = CHANNELS[0]
    for index, channels in enumerate(CHANNELS):
        block = f"G.blocks.{index}"
        if index in attention:
            first, second = f"G.attns.{index}.0.fn", f"G.attns.{index}.1.fn"
            for name in (f"{first}.norm.g", f"{first}.norm.b", f"{second}.norm.g", f"{second}.norm.b"):
                draw(name, 1, before, 1, 1)
            draw(f"{first}.fn.to_q.weight", 512, before, 1, 1)
            draw(f"{first}.fn.to_kv.net.0.weight", before, 1, 3, 3)
            draw(f"{first}.fn.to_kv.net.1.weight", 1024, before, 1, 1)
            draw(f"{first}.fn.to_out.weight", before, 512, 1, 1)
            draw(f"{first}.fn.to_out.bias", before)
            draw(f"{second}.fn.0.weight", 2 * before, before, 1, 1)
            draw(f"{second}.fn.0.bias", 2 * before)
            draw(f"{second}.fn.2.weight", before, 2 * before, 1, 1)
            draw(f"{second}.fn.2.bias", before)
        for number, inputs in ((1, before), (2, channels)):
            linear(f"{block}.to_style{number}", WIDTH, inputs)
            linear(f"{block}.to_noise{number}", 1, channels)
            draw(f"{block}.conv{number}.weight", channels, inputs, 3, 3)
        linear(f"{block}.to_rgb.to_style", WIDTH, channels)
        draw(f"{block}.to_rgb.conv.weight", image_channels, channels, 1, 1)
        if index < len(CHANNELS) - 1 and not first_version:
            state[f"{block}.to_rgb.upsample.1.f"] = np.array([1, 2, 1], np.float32)
        before = channels
    return state


def _averages(state):
    return {f"{name[0]}E{name[1:]}": array for name, array in state.items()}


class Definition:
    """The two networks by their definition, one sample at a time."""

    def __init__(self, state):
        self.state = {name: array.astype(np.float64) for name, array in state.items()}

    def w(self, z, rate, *, normalized=True):
        x = z / np.linalg.norm(z) if normalized else z
        for layer in range(sum(name.startswith("S.net") for name in self.state) // 2):
            weight, bias = (self.state[f"S.net.{2 * layer}.{leaf}"] * rate for leaf in ("weight", "bias"))
            x = _leaky(weight @ x + bias)
        return x

    def image(self, styles, noise=None):
        """[blocks, width] -> [channels, height, width], between -1 and 1 or beyond."""
        if "G.initial_block" in self.state:
            x = self.state["G.initial_block"][0]
        else:
            x = np.einsum("d,dchw->chw", styles.mean(0), self.state["G.to_initial_block.weight"])
        if "G.initial_conv.weight" in self.state:
            x = _correlate(x, self.state["G.initial_conv.weight"]) + self.state["G.initial_conv.bias"][:, None, None]
        image = None
        for index, style in enumerate(styles):
            block = f"G.blocks.{index}"
            if f"G.attns.{index}.0.fn.norm.g" in self.state:
                x = self.attention(f"G.attns.{index}", x)
            x = _doubled(x) if index else x
            for number in (1, 2):
                x = self.layer(block, number, x, style, noise)
            kernel = self.state[f"{block}.to_rgb.conv.weight"]
            own = _correlate(x, kernel * (self.linear(f"{block}.to_rgb.to_style", style) + 1)[:, None, None])
            image = own if image is None else image + own
            if index < len(styles) - 1:
                image = _doubled(image)
                if f"{block}.to_rgb.upsample.1.f" in self.state:
                    image = _blurred(image, self.state[f"{block}.to_rgb.upsample.1.f"])
        return 2 * image - 1

    def attention(self, name, x):
        y = self.normalized(f"{name}.0.fn", x)
        queries = _correlate(y, self.state[f"{name}.0.fn.fn.to_q.weight"]).reshape(8, 64, -1)
        depthwise = self.state[f"{name}.0.fn.fn.to_kv.net.0.weight"]
        y = np.concatenate([_correlate(y[c : c + 1], depthwise[c : c + 1]) for c in range(len(y))])
        y = _correlate(y, self.state[f"{name}.0.fn.fn.to_kv.net.1.weight"])
        keys, values = (half.reshape(8, 64, -1) for half in (y[:512], y[512:]))
        context = np.einsum("hdn,hen->hde", _softmax(keys, 2), values)
        y = np.einsum("hdn,hde->hen", _softmax(queries, 1) / 8, context).reshape(512, *x.shape[1:])
        y = y * np.vectorize(lambda number: 0.5 * (1 + math.erf(number / math.sqrt(2))))(y)
        x = x + self.convolution(f"{name}.0.fn.fn.to_out", y)
        y = _leaky(self.convolution(f"{name}.1.fn.fn.0", self.normalized(f"{name}.1.fn", x)))
        return x + self.convolution(f"{name}.1.fn.fn.2", y)

    def normalized(self, name, x):
        y = (x - x.mean(0)) / np.sqrt(x.var(0) + 1e-5)
        return y * self.state[f"{name}.norm.g"][0] + self.state[f"{name}.norm.b"][0]

    def convolution(self, name, x):
        return _correlate(x, self.state[f"{name}.weight"]) + self.state[f"{name}.bias"][:, None, None]

    def linear(self, name, x):
        return self.state[f"{name}.weight"] @ x + self.state[f"{name}.bias"]

    def layer(self, block, number, x, style, noise):
        kernel = (
            self.state[f"{block}.conv{number}.weight"]
            * ((self.linear(f"{block}.to_style{number}", style) + 1)[:, None, None])
        )
        kernel = kernel / np.sqrt((kernel**2).sum((1, 2, 3), keepdims=True) + 1e-8)
        side = x.shape[1]
        noise = np.zeros((side, side)) if noise is None else noise[:side, :side]
        weight, bias = (self.state[f"{block}.to_noise{number}.{leaf}"] for leaf in ("weight", "bias"))
        return _leaky(_correlate(x, kernel) + weight.reshape(-1, 1, 1) * noise + bias[:, None, None])


def _softmax(x, axis):
    x = np.exp(x - x.max(axis, keepdims=True))
    return x / x.sum(axis, keepdims=True)


def _leaky(x):
    return np.where(x > 0, x, 0.2 * x)


def _correlate(x, kernel):
    margin = kernel.shape[-1] // 2
    windows = sliding_window_view(np.pad(x, ((0, 0), (margin, margin), (margin, margin))), kernel.shape[2:], (1, 2))
    return np.einsum("ihwkl,oikl->ohw", windows, kernel)


def _doubled(x):
    """Bilinear: output pixel i lies at (i + 0.5) / 2 - 0.5 in the input."""
    size = x.shape[1]
    places = np.clip((np.arange(2 * size) + 0.5) / 2 - 0.5, 0, size - 1)
    low = np.minimum(np.floor(places).astype(int), size - 1)
    high, part = np.minimum(low + 1, size - 1), places - low
    matrix = np.zeros((2 * size, size))
    np.add.at(matrix, (np.arange(2 * size), low), 1 - part)
    np.add.at(matrix, (np.arange(2 * size), high), part)
    return np.einsum("ph,qw,chw->cpq", matrix, matrix, x)


def _blurred(x, taps):
    kernel = np.outer(taps, taps) / taps.sum() ** 2
    windows = sliding_window_view(np.pad(x, ((0, 0), (1, 1), (1, 1)), mode="reflect"), (3, 3), (1, 2))
    return np.einsum("chwkl,kl->chw", windows, kernel)


def _assert_means(found, state, rate, *, normalized=True, image_channels=3):
    definition, rng = Definition(state), np.random.default_rng(1)
    z = rng.standard_normal((3, WIDTH))
    expected = np.stack([definition.w(one, rate, normalized=normalized) for one in z])
    w = synthesis.map_latents(found, jnp.asarray(z, jnp.float32))[:, 0]
    np.testing.assert_allclose(w, expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max())
    latents = rng.standard_normal((2, *found.merge().latent_shape)).astype(np.float32)
    expected = np.stack([definition.image(one.astype(np.float64)) for one in latents])
    assert expected.shape == (2, image_channels, 16, 16)
    for noise in (None, "const"):
        assert error(synthesis.synthesize(found, jnp.asarray(latents), noise=noise), expected) < 1e-5


@pytest.mark.parametrize(
    ("settings", "rate", "normalized"),
    [
        ({}, 0.1, True),
        ({"image_channels": 4, "depth": 3}, 0.1, True),
        ({"constant": False}, 0.1, True),
        ({"first_version": True}, 1.0, False),
        ({"attention": (0, 2)}, 0.1, True),
    ],
    ids=["plain", "transparent", "without a constant", "first version", "attention"],
)
def test_a_file_means_what_its_definition_says(settings, rate, normalized):
    state = _drawn(**settings)
    channels = settings.get("image_channels", 3)
    found = stylegan2_lucidrains.convert(state)
    _assert_means(found, state, rate, normalized=normalized, image_channels=channels)


def test_random_noise_is_one_uniform_image_for_all_layers():
    state = _drawn()
    found = stylegan2_lucidrains.convert(state)
    keys = jax.random.split(jax.random.key(3), 2)
    latents = np.random.default_rng(1).standard_normal((2, 3, WIDTH)).astype(np.float32)
    images = np.stack([jax.random.uniform(key, (16, 16, 1))[..., 0] for key in keys])
    expected = np.stack([Definition(state).image(*one) for one in zip(latents.astype(np.float64), images, strict=True)])
    assert error(synthesis.synthesize(found, jnp.asarray(latents), noise=keys), expected) < 1e-5


def test_the_moving_averages_are_preferred_and_the_other_networks_are_left_out():
    older, state = _drawn(seed=1), _drawn()
    others = {
        "D.to_logit.weight": np.ones((1, 4)),
        "D_aug.D.to_logit.weight": np.ones((1, 4)),
        "D.blocks.0.q": np.ones(2),
    }
    content = {"GAN": {**older, **others, **_averages(state)}, "version": "1.8.1"}
    (network,) = networks.find(content, {})
    found, network = formats.recognize(formats.Source("x", "torch file", (network,)))
    assert found.name == "stylegan2_lucidrains" and "--option=lr_mlp=NUMBER" in found.note
    _assert_means(formats.convert(found, network, {}, "x"), state, 0.1)
    with pytest.raises(InputError, match=r"known formats: "):
        formats.recognize(formats.Source("x", "torch file", (network._replace(arrays=others),)))


def test_options_reach_the_mapping_network():
    state = _drawn()
    options = {"lr_mlp": 0.5, "normalize_z": 0}
    _assert_means(stylegan2_lucidrains.convert(state, options), state, 0.5, normalized=False)
    with pytest.raises(InputError, match="--option=normalize_z=3: must be 0 or 1"):
        stylegan2_lucidrains.convert(state, {"normalize_z": 3})


def test_the_mean_w_is_that_of_many_z():
    """Against another sample, within five standard errors in every coordinate."""
    found = stylegan2_lucidrains.convert(_drawn())
    w = np.asarray(synthesis.map_latents(found, jax.random.normal(jax.random.key(7), (4000, WIDTH)))[:, 0])
    allowed = 5.0 * w.std(0) * np.sqrt(1 / 4000 + 1 / 10_000)
    assert (np.abs(w.mean(0) - np.asarray(found.params["mapping"]["w_avg"])) < allowed).all()


def test_what_does_not_fit_is_named():
    state = _drawn()
    for name in ("S.net.2.bias", "G.blocks.1.conv1.weight", "G.blocks.2.to_noise1.weight", "G.blocks.0.to_style2.bias"):
        with pytest.raises(InputError, match=f"parameter {name}: missing from the file"):
            stylegan2_lucidrains.convert({key: array for key, array in state.items() if key != name})
        with pytest.raises(InputError, match=f"parameter {name}: has shape"):
            stylegan2_lucidrains.convert({**state, name: np.ones((2, *state[name].shape), np.float32)})
    for name, message in (
        ("G.attns.1.0.fn.g", r"an attention layer \(attn_layers\) of an early version of lucidrains/stylegan2-pytorch"),
        ("G.attns.1.0.fn.norm.b", "nothing in this architecture uses it"),
        ("G.blocks.0.extra", "nothing in this architecture uses it"),
        ("G.blocks.1.to_rgb.upsample.1.f", "not the one row of taps"),
        ("G.initial_conv.weight", r"has shape \(1,\), which does not fit"),
    ):
        with pytest.raises(InputError, match=f"parameter {name}: {message}"):
            stylegan2_lucidrains.convert({**state, name: np.ones(1, np.float32)})
