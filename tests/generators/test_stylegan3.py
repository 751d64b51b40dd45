"""StyleGAN3 matches the reference arrays, and its layers keep their symmetries."""

import dataclasses
import itertools
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import signal, special

from checkpoints_convert import stylegan3_pytorch
from ganspace_jax.errors import InputError
from ganspace_jax.generators import base, stylegan3, stylegan3_filters, synthesis
from tests.golden_arrays import error, load

TOLERANCE = 1e-4
FILES = ("stylegan3_t_32", "stylegan3_r_32")
WIDE = {"channel_base": 65536, "channel_max": 1024}  # configuration R's
PUBLISHED = {  # (resolution, channel arguments): sizes and channels in the layers' names
    (
        1024,
        (),
    ): "36_512 36_512 52_512 52_512 84_512 148_512 148_512 276_323 276_203 532_128 1044_81 1044_51 1044_32 1024_32",
    (1024, tuple(WIDE.items())): "36_1024 36_1024 52_1024 52_1024 84_1024 148_1024 148_1024 276_645 276_406 532_256 "
    "1044_161 1044_102 1044_64 1024_64",
    (512, tuple(WIDE.items())): "36_1024 36_1024 52_1024 52_1024 84_1024 84_1024 148_1024 148_967 276_645 276_431 "
    "532_287 532_192 532_128 512_128",
}


def _parameters(arrays):
    return {key.removeprefix("param/"): value for key, value in arrays.items() if key.startswith("param/")}


@pytest.fixture(scope="module", params=FILES)
def golden(request):
    """Returns arrays, generator, latents and the compiled forward pass.

    The forward pass maps (params, latents) to (image, activations).
    """
    arrays = load(request.param)
    generator = stylegan3_pytorch.convert(_parameters(arrays), arrays["config"]["generator_init_kwargs"])
    latents = synthesis.map_latents(generator, jnp.asarray(arrays["input/z"]))
    return arrays, generator, latents, jax.jit(lambda params, x: base.merge(generator.definition, params)(x))


def _with_transform(params, matrix):
    own = {**params["synthesis"]["input"], "transform": jnp.asarray(matrix, jnp.float32)}
    return {**params, "synthesis": {**params["synthesis"], "input": own}}


@pytest.mark.usefixtures("optimized")
def test_images_match_the_reference(golden):
    arrays, generator, latents, run = golden
    assert error(latents[:, 0], arrays["output/w"]) < TOLERANCE
    assert error(run(generator.params, latents)[0], arrays["output/image"]) < TOLERANCE
    assert error(run(generator.params, jnp.asarray(arrays["input/ws"]))[0], arrays["output/image_ws"]) < TOLERANCE
    turned = _with_transform(generator.params, arrays["input/transform"])
    assert error(run(turned, latents)[0], arrays["output/image_transform"]) < TOLERANCE


@pytest.mark.parametrize(("psi", "cutoff"), [(0.7, None), (0.5, 6)])
def test_truncated_images_match_the_reference(golden, psi, cutoff):
    arrays, generator, latents, _ = golden
    reference = arrays[f"output/image_psi{psi}" + ("" if cutoff is None else f"_cutoff{cutoff}")]
    image = synthesis.synthesize(generator, latents, truncation_psi=psi, truncation_cutoff=cutoff)
    assert error(image, reference) < TOLERANCE


def test_one_program_serves_every_truncation(golden):
    """The styles equal those with a constant psi and cutoff."""
    _, generator, latents, _ = golden
    layers = [plan.name for plan in stylegan3.plan_layers(generator.merge().config)]
    names = ["input.affine", f"{layers[0]}.style", f"{layers[-1]}.style"]
    traces = []

    @jax.jit
    def styles(psi, cutoff):
        traces.append(psi)
        activations = generator.merge()(latents, truncation_psi=psi, truncation_cutoff=cutoff)[1]
        return [activations[name] for name in names]

    fixed = jax.jit(lambda psi, cutoff: styles.__wrapped__(psi, cutoff), static_argnums=(0, 1))
    for psi, cutoff in ((0.7, 1), (0.5, 2), (1.0, 0)):
        for found, expected in zip(styles(psi, cutoff), fixed(psi, cutoff), strict=True):
            np.testing.assert_allclose(found, expected, atol=1e-6)
    assert len(traces) == 1 + 3
    assert np.any(np.asarray(styles(0.7, 1)[0]) != np.asarray(styles(0.5, 1)[0]))


def test_activations_match_the_reference(golden):
    arrays, generator, latents, run = golden
    module = generator.merge()
    ours = {**module.map_with_activations(jnp.asarray(arrays["input/z"]))[1], **run(generator.params, latents)[1]}
    stored = {k.removeprefix("output/act/"): v for k, v in arrays.items() if k.startswith("output/act/")}
    assert len(stored) == 27
    for name, reference in stored.items():
        own = name.removeprefix("synthesis.")
        own = own.replace(".affine", ".style") if own.startswith("L") else own
        assert error(ours[own], reference) < TOLERANCE, name


def test_layer_constants_match_the_reference(golden):
    arrays, generator, _, _ = golden
    plans = stylegan3.plan_layers(generator.merge().config)
    for plan, reference in itertools.zip_longest(plans, arrays["config"]["layers"]):
        before, after = plan.padding
        ours = {
            **{name: getattr(plan, name) for name in ("name", "is_torgb", "in_channels", "out_channels")},
            **{name: getattr(plan, name) for name in ("in_cutoff", "out_cutoff", "in_half_width", "out_half_width")},
            "is_critically_sampled": plan.is_critical,
            "in_size": [plan.in_size] * 2,
            "out_size": [plan.out_size] * 2,
            "in_sampling_rate": plan.in_rate,
            "out_sampling_rate": plan.out_rate,
            "tmp_sampling_rate": plan.inner_rate,
            "up_factor": plan.up,
            "up_taps": plan.up_taps,
            "down_factor": plan.down,
            "down_taps": plan.down_taps,
            "down_radial": plan.radial,
            "padding_x0x1y0y1": [before, after] * 2,
        }
        assert ours == {key: value for key, value in reference.items() if key != "use_fp16_in_file"}
    first, reference = plans[0], arrays["config"]["input"]
    assert [first.in_cutoff, first.in_rate, first.in_channels, [first.in_size] * 2] == [
        reference[key] for key in ("bandwidth", "sampling_rate", "channels", "size")
    ]


@pytest.mark.parametrize("key", PUBLISHED)
def test_layers_of_the_published_networks(key):
    resolution, channels = key
    plans = stylegan3.plan_layers(stylegan3.Config(512, 512, resolution, **dict(channels)))
    expected = [f"L{i}_{rest}" for i, rest in enumerate(PUBLISHED[key].split())]
    assert [plan.name for plan in plans] == [*expected, f"L14_{resolution}_3"]


@pytest.mark.parametrize("slot", [0, 1, 8, 15])
def test_a_slot_acts_on_its_layer_and_what_follows(golden, slot):
    _, generator, latents, run = golden
    before = run(generator.params, latents)[1]
    after = run(generator.params, latents.at[:, slot].add(1.0))[1]
    names = list(base.activation_shapes(generator))  # in the order of the forward pass
    layers = [plan.name for plan in stylegan3.plan_layers(generator.merge().config)]
    first = names.index("input.affine" if slot == 0 else f"{layers[slot - 1]}.style")
    for name in names[:first]:
        np.testing.assert_array_equal(before[name], after[name], err_msg=name)
    for name in names[first : first + 2]:
        assert np.any(np.asarray(before[name]) != np.asarray(after[name])), name
    others = [layer for i, layer in enumerate(layers) if i != slot - 1]
    for layer in others:
        np.testing.assert_array_equal(before[f"{layer}.style"], after[f"{layer}.style"])


def test_turning_the_features_by_a_right_angle_turns_the_image_of_r_alone(golden):
    """Without 3x3 kernels every layer commutes with a rotation (section 3.2).

    A rotation by 90 degrees is exact on the pixel grid.
    """
    _, generator, latents, run = golden
    turned = _with_transform(generator.params, [[0, -1, 0], [1, 0, 0], [0, 0, 1]])
    images = [np.asarray(run(params, latents)[0]) for params in (generator.params, turned)]
    difference = np.abs(images[1] - np.rot90(images[0], 1, (1, 2))).max() / np.abs(images[0]).max()
    assert difference < TOLERANCE if generator.merge().config.radial_filters else difference > 0.1


def test_an_image_does_not_depend_on_its_batch(golden):
    """The other sample of the batch has styles ten thousand times as large."""
    _, generator, latents, run = golden
    alone = run(generator.params, jnp.tile(latents[:1], (2, 1, 1)))[0]
    beside = run(generator.params, latents.at[1].multiply(1e4))[0]
    np.testing.assert_allclose(alone[0], beside[0], atol=1e-6)


SMALL = {
    "narrow": {"num_layers": 3, "num_critical": 1, "margin": 5, "inner_upsampling": 4, "kernel_size": 1},
    "radial": {"num_layers": 4, "radial_filters": True, "filter_size": 4},
}


def _small(name, **changes):
    return stylegan3.Config(5, 4, 64, channel_base=64, channel_max=3, **{**SMALL[name], **changes})


def _layer(plan, **settings):
    return jax.jit(lambda x: stylegan3_filters.filtered_leaky_relu(x, plan, **settings))


@pytest.mark.parametrize("name", SMALL)
def test_filtered_nonlinearities_commute_with_mirroring(name):
    """A layer does not shift pixels, for all rates and sizes (appendix C.3)."""
    for plan in stylegan3.plan_layers(_small(name)):
        grown = plan.in_size + plan.kernel_size - 1
        x = jax.random.normal(jax.random.key(0), (1, grown, grown, 1))
        layer = _layer(plan, gain=1.5, slope=0.2, clamp=1.0)
        y, mirrored = layer(x), layer(x[:, ::-1, :])
        assert y.shape == (1, plan.out_size, plan.out_size, 1)
        np.testing.assert_allclose(mirrored, y[:, ::-1, :], atol=1e-5)
        np.testing.assert_allclose(layer(x[:, :, ::-1]), y[:, :, ::-1], atol=1e-5)


@pytest.mark.parametrize("radial", [False, True])
def test_half_the_width_is_the_middle_of_a_square_image_with_zeros_at_its_sides(radial):
    """StyleGAN-Human's layers: widths are half the heights, at the same rates."""
    config = _small("radial", radial_filters=radial)
    halves = stylegan3.plan_layers(dataclasses.replace(config, square=False))
    assert halves[0].name == "L0_18_3" and [plan.across.out_size for plan in halves[-2:]] == [32, 32]
    for plan, half in zip(stylegan3.plan_layers(config), halves, strict=True):
        height, width = (one.in_size + one.kernel_size - 1 for one in (half, half.across))
        x = np.asarray(jax.random.normal(jax.random.key(0), (1, height, width, 1)))
        side = (height - width) // 2
        y = _layer(half, gain=1.5, slope=0.2, clamp=1.0)(x)
        assert y.shape == (1, plan.out_size, plan.out_size // 2, 1)
        wide = _layer(plan, gain=1.5, slope=0.2, clamp=1.0)(np.pad(x, ((0, 0), (0, 0), (side, side), (0, 0))))
        np.testing.assert_allclose(y, wide[:, :, plan.out_size // 4 : -(plan.out_size // 4)], atol=1e-5)


def test_half_the_width_has_the_middle_of_the_fourier_features():
    config = _small("radial")
    half = dataclasses.replace(config, square=False)
    features = []
    for one in (config, half):
        layer = stylegan3.FourierInput(one, stylegan3.plan_layers(one)[0], key=jax.random.key(0))
        layer.affine.bias[...] = jnp.array([0.8, 0.6, 0.1, -0.2])
        features.append(layer(jnp.zeros((1, 4)), base.Recorder()))
    assert features[1].shape == (1, 36, 18, 3)
    np.testing.assert_allclose(features[1], features[0][:, :, 9:27], atol=1e-5)


@pytest.mark.parametrize("square", [True, False])
def test_a_file_of_half_the_width_gives_its_network_back(square):
    """The argument is StyleGAN-Human's. Its layers' names have the width."""
    config = _small("radial", square=square, image_channels=4, num_classes=2)
    generator = base.split(stylegan3.StyleGAN3(config, key=jax.random.key(0)))
    state = {}
    for path, array in jax.tree_util.tree_flatten_with_path(generator.params)[0]:
        name, array = ".".join(key.key for key in path), np.asarray(array)
        axes = {4: (3, 2, 0, 1), 2: (1, 0)}.get(array.ndim) if name.endswith(".weight") else None
        state[name] = array if axes is None else array.transpose(axes)
    for plan in stylegan3.plan_layers(config):
        filters = {"up_filter": (plan.up_taps, plan.up_filter), "down_filter": (plan.down_taps, plan.down_filter)}
        state |= {f"synthesis.{plan.name}.{k}": design() for k, (taps, design) in filters.items() if taps > 1}
    theirs = {ours: name for name, ours in stylegan3_pytorch._FIELDS.items()}
    known = {theirs[field]: value for field, value in vars(config).items() if field in theirs}
    found = stylegan3_pytorch.convert(state, {**known, "verbose": False})
    assert found.config == config and found.image_size == (64, 64 if square else 32)
    jax.tree.map(np.testing.assert_array_equal, found.params, generator.params)
    latents = jnp.ones((1, *found.latent_shape))
    image = synthesis.synthesize(found, latents)
    assert image.shape == (1, *found.image_size, 4) and bool(jnp.isfinite(image).all())
    with pytest.raises(InputError, match=r"synthesis\.L0_\d+_3\.affine\.bias: missing"):
        stylegan3_pytorch.convert(state, {**known, "square": not square})


@pytest.mark.parametrize("name", SMALL)
def test_a_constant_passes_like_through_a_plain_nonlinearity(name):
    """Both filters have unit gain at zero frequency. The clamp follows the gain."""
    plan = stylegan3.plan_layers(_small(name))[1]
    assert plan.up > plan.down and plan.radial == (name == "radial")
    size, middle = plan.in_size + plan.kernel_size - 1, slice(plan.out_size // 2 - 2, plan.out_size // 2 + 2)
    x = jnp.array([0.5, -0.5, 3.0, -30.0])[:, None, None, None] * jnp.ones((1, size, size, 1))
    y = _layer(plan, gain=1.5, slope=0.2, clamp=2.0)(x)
    for centre, expected in zip(np.asarray(y)[:, middle, middle, 0], (0.75, -0.15, 2.0, -2.0), strict=True):
        np.testing.assert_allclose(centre, expected, rtol=0.02)  # the up filter lets small aliases pass


def test_to_rgb_inserts_zeros_where_it_changes_the_rate():
    """This network has no critically sampled layers.

    ToRGB has no filter, so the gain of 4 stays with the pixels.
    """
    plan = stylegan3.plan_layers(_small("narrow", num_layers=2, num_critical=0))[-1]
    assert plan.is_torgb and plan.up == 2 and (plan.in_size, plan.out_size) == (64, 64)
    x = jax.random.normal(jax.random.key(0), (1, 64, 64, 2))
    inserted = np.zeros((1, 128, 128, 2), np.float32)
    inserted[:, ::2, ::2] = 4.0 * x
    y = _layer(plan, gain=1.0, slope=1.0)(x)
    np.testing.assert_allclose(y, inserted[:, 31:95, 31:95], rtol=1e-6)


@pytest.mark.parametrize(
    ("taps", "cutoff", "width"), [(12, 8.0, 12.0), (24, 8.0, 30.0), (13, 3.0, 1.0), (6, 15.0, 0.1)]
)
def test_filters_are_scipys(taps, cutoff, width):
    """The cases have attenuations above 50, between 21 and 50, and below 21."""
    rate = 64.0
    window = signal.get_window(
        ("kaiser", signal.kaiser_beta(signal.kaiser_atten(taps, width / (rate / 2)))), taps, False
    )
    separable = stylegan3_filters.lowpass(taps, cutoff, width, rate)
    np.testing.assert_allclose(separable, signal.firwin(taps, cutoff, width=width, fs=rate), rtol=0, atol=1e-12)
    if taps % 2 == 0:
        x = (np.arange(taps) - (taps - 1) / 2) / rate
        radius = np.hypot(x[:, None], x)
        design = cutoff / radius * special.jv(1, 2 * np.pi * cutoff * radius) * np.outer(window, window)
        radial = stylegan3_filters.radial_lowpass(taps, cutoff, width, rate)
        np.testing.assert_allclose(radial, design / design.sum(), rtol=0, atol=1e-12)


def test_a_cutoff_beyond_half_the_rate_is_refused():
    for cutoff in (0.0, 32.0):
        with pytest.raises(ValueError, match=f"cutoff={cutoff:g}: .* below half its rate 64"):
            stylegan3_filters.lowpass(12, cutoff, 1.0, 64.0)


def test_a_radial_filter_has_the_same_response_in_every_direction():
    """The test looks at the cutoff.

    A separable filter passes 1.5 times as much along the diagonal as along an axis.
    """
    rate, cutoff, taps = 64.0, 8.0, 24
    radial = stylegan3_filters.radial_lowpass(taps, cutoff, 12.0, rate)
    separable = stylegan3_filters.lowpass(taps, cutoff, 12.0, rate)
    x = (np.arange(taps) - (taps - 1) / 2) / rate
    wave = lambda angle: np.cos(2 * np.pi * cutoff * (np.cos(angle) * x[None] + np.sin(angle) * x[:, None]))  # noqa: E731
    along, across = (
        [np.sum(f * wave(angle)) for angle in (0.0, np.pi / 4)] for f in (radial, np.outer(separable, separable))
    )
    assert along[1] == pytest.approx(along[0], rel=0.02)
    assert abs(across[1] / across[0] - 1) > 0.3
    assert radial.sum() == pytest.approx(1.0) and separable.sum() == pytest.approx(1.0)


@pytest.mark.parametrize("name", SMALL)
def test_every_configuration_gives_finite_images(name):
    config = _small(name, num_classes=3, image_channels=1, conv_clamp=0.5, compute_dtype="bfloat16")
    generator = base.split(stylegan3.StyleGAN3(config, key=jax.random.key(0)))
    label = jax.nn.one_hot(jnp.array([0, 2]), 3)
    latents = synthesis.map_latents(generator, jax.random.normal(jax.random.key(1), (2, 5)), label)
    assert latents.shape[1:] == (config.num_layers + 2, 4)
    image, activations = jax.jit(generator.merge())(latents)
    assert image.shape == (2, 64, 64, 1) and image.dtype == jnp.float32
    assert bool(jnp.isfinite(image).all()) and float(jnp.std(image)) > 0
    assert activations[stylegan3.plan_layers(config)[0].name].dtype == jnp.bfloat16


def test_features_beyond_the_sampling_rate_fade():
    """Frequencies near the bandwidth, times four, would alias.

    No frequency above half the rate is left.
    """
    config = _small("narrow")
    layer = stylegan3.FourierInput(config, stylegan3.plan_layers(config)[0], key=jax.random.key(0))
    layer.weight[...] = jnp.eye(len(layer.weight)) * np.sqrt(len(layer.weight))
    layer.freqs[...] = jnp.array([[2.0, 0.0], [0.0, 1.1], [0.2, 0.1]])
    amplitudes = []
    for scale in (1.0, 4.0):
        layer.transform[...] = jnp.diag(jnp.array([scale, scale, 1.0]))
        waves = np.asarray(layer(jnp.zeros((1, 4)), base.Recorder()))[0]
        amplitudes.append(np.abs(waves).max((0, 1)))
    half_rate = layer.rate / 2
    faded = [np.clip(1 - (f * 4 - 2.0) / (half_rate - 2.0), 0, 1) for f in (2.0, 1.1, np.hypot(0.2, 0.1))]
    np.testing.assert_allclose(amplitudes[0], 1.0, atol=0.05)
    np.testing.assert_allclose(amplitudes[1], faded, atol=0.05)
    assert faded[0] == 0.0 < faded[1] < 1.0


def test_a_conditional_mapping_joins_two_normalised_halves():
    """The mapping equals its definition in float64."""
    config = _small("narrow", num_classes=3)
    module = stylegan3.StyleGAN3(config, key=jax.random.key(0))
    z = jax.random.normal(jax.random.key(1), (2, 5))
    label = jnp.array([[0.0, 1.0, 0.0], [0.3, 0.0, 0.7]])
    mapping = module.mapping
    unit = lambda x: x / np.sqrt(np.mean(np.square(x), axis=1, keepdims=True) + 1e-8)  # noqa: E731
    as64 = lambda x: np.asarray(x[...], np.float64)  # noqa: E731
    embedding = as64(label) @ as64(mapping.embed.weight) / np.sqrt(3) + as64(mapping.embed.bias)
    x = np.concatenate([unit(as64(z)), unit(embedding)], axis=1)
    for layer in (mapping.fc0, mapping.fc1):
        x = x @ as64(layer.weight) * 0.01 / np.sqrt(x.shape[1]) + as64(layer.bias) * 0.01
        x = np.sqrt(2) * np.where(x >= 0, x, 0.2 * x)
    np.testing.assert_allclose(module.map_latents(z, label)[:, 3], x, rtol=1e-5, atol=1e-6)
    with pytest.raises(ValueError, match=r"label: this generator is conditional; give \[batch, 3\] weights"):
        module.map_latents(z)


def test_an_alpha_channel_is_one_more_channel_of_the_image(golden):
    """RGBA from the reference: ToRGB is linear, so an alpha of half red and half green
    follows from its weights.
    """
    arrays, _, latents, run = golden
    state, kwargs = _parameters(arrays), {**arrays["config"]["generator_init_kwargs"], "img_channels": 4}
    state = {re.sub(r"(L\d+_32)_3\.", r"\1_4.", name): array for name, array in state.items()}
    (last,) = (name.removesuffix(".affine.weight") for name in state if re.search(r"_32_4\.affine\.weight$", name))
    for name in (f"{last}.weight", f"{last}.bias"):
        state[name] = np.concatenate([state[name], state[name][:2].mean(0, keepdims=True)])
    image = np.asarray(synthesis.synthesize(stylegan3_pytorch.convert(state, kwargs), latents))
    expected = np.asarray(run(golden[1].params, latents)[0])
    assert image.shape == (*expected.shape[:3], 4)
    np.testing.assert_allclose(image[..., :3], expected, atol=1e-5 * np.abs(expected).max())
    np.testing.assert_allclose(image[..., 3], expected[..., :2].mean(-1), atol=1e-5 * np.abs(expected).max())


def test_what_does_not_fit_is_named(golden):
    arrays = golden[0]
    state, kwargs = _parameters(arrays), arrays["config"]["generator_init_kwargs"]
    name = "synthesis.L12_52_5.down_filter"
    with pytest.raises(InputError, match=f"{name}: not the filter"):
        stylegan3_pytorch.convert({**state, name: state[name] * 1.001}, kwargs)
    with pytest.raises(InputError, match=f"{name}: missing"):
        stylegan3_pytorch.convert({key: value for key, value in state.items() if key != name}, kwargs)
    with pytest.raises(InputError, match=r"synthesis\.L14_32_3\.up_filter: nothing .* uses it"):
        stylegan3_pytorch.convert({**state, "synthesis.L14_32_3.up_filter": np.ones(1)}, kwargs)
    with pytest.raises(InputError, match="constructor argument colours: not known"):
        stylegan3_pytorch.convert(state, {**kwargs, "colours": 3})
    with pytest.raises(InputError, match="constructor argument w_dim: missing"):
        stylegan3_pytorch.convert(state, {key: value for key, value in kwargs.items() if key != "w_dim"})
    for number in (-1, 14):
        with pytest.raises(InputError, match=f"num_critical={number}: must be at least 0 and less than num_layers"):
            stylegan3_pytorch.convert(state, {**kwargs, "num_critical": number})
