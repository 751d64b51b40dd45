"""StyleGAN matches the official networks and has the paper's properties.

Both converters are tested.
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from checkpoints_convert import stylegan_ganspace, stylegan_tensorflow
from ganspace_jax.errors import InputError
from ganspace_jax.generators import base, ops, stylegan, synthesis, zoo
from tests.golden_arrays import error, load

TOLERANCE = 1e-4
RUNS = {
    "image": {},
    "image_psi0.7_cutoff8": {"truncation_psi": 0.7, "truncation_cutoff": 8},
    "image_psi0.5_cutoff4": {"truncation_psi": 0.5, "truncation_cutoff": 4},
}


def _part(arrays, prefix):
    return {key.removeprefix(prefix): value for key, value in arrays.items() if key.startswith(prefix)}


def _with(generator, **changes):
    """Returns the same arrays with another configuration."""
    config = dataclasses.replace(generator.merge().config, **changes)
    return zoo.abstract_generator("stylegan", config)._replace(params=generator.params)


@pytest.fixture(scope="module", params=("stylegan1_tf_64", "stylegan1_tf_128_fused"))
def golden(request):
    arrays = load(request.param)
    generator = stylegan_tensorflow.convert(_part(arrays, "param/"), arrays["config"]["G_static_kwargs"])
    return arrays, generator, jnp.asarray(arrays["input/z"])


@pytest.fixture(scope="module")
def small():
    """Every block has its own width. Biases, noise weights and mean w are not zero."""
    config = stylegan.Config(z_dim=8, w_dim=6, channels=(6, 5, 4), mapping_layers=2, image_channels=1)
    return _drawn(config)


def _drawn(config):
    """Returns a generator with all arrays drawn from one normal distribution."""
    abstract, rng = zoo.abstract_generator("stylegan", config), np.random.default_rng(0)
    draw = lambda x: jnp.asarray(rng.standard_normal(x.shape, np.float32))  # noqa: E731
    return abstract._replace(params=jax.tree.map(draw, abstract.params))


def _latents(generator, count=2, seed=2):
    return jax.random.normal(jax.random.key(seed), (count, *generator.merge().latent_shape))


@pytest.mark.usefixtures("optimized")
def test_images_match_the_reference(golden):
    arrays, generator, z = golden
    latents = synthesis.map_latents(generator, z)
    assert error(latents[:, 0], arrays["output/w"]) < TOLERANCE
    runs = {name: settings for name, settings in RUNS.items() if f"output/{name}" in arrays}
    assert len(runs) == 1 + len(arrays["config"]["psi_runs"])
    for name, settings in runs.items():
        assert error(synthesis.synthesize(generator, latents, **settings), arrays[f"output/{name}"]) < TOLERANCE, name
    assert (
        error(synthesis.synthesize(generator, jnp.asarray(arrays["input/ws"])), arrays["output/image_ws"]) < TOLERANCE
    )


def test_activations_match_the_reference(golden):
    arrays, generator, z = golden
    module = generator.merge()
    ours = {**module.map_with_activations(z)[1], **jax.jit(module)(module.map_latents(z))[1]}
    stored = _part(arrays, "output/act/")
    assert len(stored) >= 18
    for name, reference in stored.items():
        assert error(ours[_our_activation(name)], reference) < TOLERANCE, name


def _our_activation(name):
    """Returns our activation's name for the port's module name."""
    parts = name.removeprefix("g_synthesis.blocks.").removeprefix("g_").removesuffix("_act")
    side, x, rest = parts.partition("x")
    parts = f"b{side}.{rest.partition('.')[2]}" if x and side.isdigit() else parts
    return parts.replace(".style_mod.lin", ".style")


def test_the_ports_file_makes_the_same_generator(golden):
    """The port's file lacks noise images and mean w; all other arrays are equal.

    The epsilon is the port's without an option, and then the image is the port's.
    """
    arrays, generator, z = golden
    state = _part(arrays, "param_torch/")
    found = stylegan_ganspace.convert(state, epsilon=1e-8)
    assert found.definition == generator.definition
    missing = lambda path: any(name in jax.tree_util.keystr(path) for name in ("noise_const", "w_avg"))  # noqa: E731
    pairs = zip(jax.tree_util.tree_leaves_with_path(found.params), jax.tree.leaves(generator.params), strict=True)
    different = [path for (path, a), b in pairs if not np.array_equal(a, b)]
    assert different and all(missing(path) for path in different)
    latents = synthesis.map_latents(found, z)
    np.testing.assert_array_equal(
        synthesis.synthesize(found, latents, noise=None), synthesis.synthesize(generator, latents, noise=None)
    )
    if "output/image_ganspace_eps1e-5" in arrays:
        theirs = stylegan_ganspace.convert(state)
        image = synthesis.synthesize(theirs._replace(params=generator.params), latents)
        assert error(image, arrays["output/image_ganspace_eps1e-5"]) < TOLERANCE


@pytest.mark.parametrize("options", [{}, {"epsilon": 1e-8}, {"epsilon": 0.5}])
def test_the_instance_norm_has_the_epsilon_of_its_code(options):
    """A variance of 1e-5 shows it: PyTorch's default is 1e-5, TensorFlow's is 1e-8."""
    expected = options.get("epsilon", 1e-5)
    config = stylegan_ganspace.convert(_part(load("stylegan1_tf_64"), "param_torch/"), **options).merge().config
    x = np.sqrt(1e-5) * np.random.default_rng(0).standard_normal((2, 8, 8, 3)) + 0.5
    y = x - x.mean((1, 2), keepdims=True)
    y = y / np.sqrt((y**2).mean((1, 2), keepdims=True) + expected)
    found = stylegan._instance_norm(jnp.asarray(x, jnp.float32), config.epsilon)
    np.testing.assert_allclose(found, y, rtol=1e-3, atol=1e-3)
    assert stylegan_tensorflow.configuration(_part(load("stylegan1_tf_64"), "param/")).epsilon == 1e-8


@pytest.mark.parametrize("epsilon", [0.0, -1e-8, np.inf, np.nan])
def test_an_epsilon_that_is_no_small_number_is_refused(epsilon):
    with pytest.raises(InputError, match=r"--option=epsilon=.*: must be above 0 and below 1"):
        stylegan_ganspace.convert({}, epsilon=epsilon)


def test_the_ports_file_gets_the_mean_of_w_and_noise():
    """The mean is within five standard errors of another sample's, per coordinate."""
    arrays = load("stylegan1_tf_64")
    params = stylegan_ganspace.convert(_part(arrays, "param_torch/"))
    again = stylegan_ganspace.convert(_part(arrays, "param_torch/"))
    jax.tree.map(np.testing.assert_array_equal, params.params, again.params)
    w = np.asarray(synthesis.map_latents(params, jax.random.normal(jax.random.key(7), (4000, 20)))[:, 0])
    allowed = 5.0 * w.std(0) * np.sqrt(1 / 4000 + 1 / 10_000)
    assert (np.abs(w.mean(0) - np.asarray(params.params["mapping"]["w_avg"])) < allowed).all()
    noise = params.params["synthesis"]["b64"]
    images = np.stack([noise[name]["noise_const"] for name in ("epi1", "epi2")])
    assert abs(images.mean()) < 0.05 and abs(images.std() - 1.0) < 0.05 and abs((images[0] * images[1]).mean()) < 0.1


def test_a_conditional_mapping_is_the_originals():
    """The mapping equals float64, with [z, label W] normalised as one vector."""
    rng = np.random.default_rng(0)
    draw = lambda *shape: rng.standard_normal(shape).astype(np.float32)  # noqa: E731
    variables = _part(load("stylegan1_tf_64"), "param/")
    variables["mapping/LabelConcat/weight"] = draw(5, 20)
    variables["mapping/Dense0/weight"] = 100.0 * draw(40, 28)
    for normalized in (True, False):
        generator = stylegan_tensorflow.convert(variables, {"normalize_latents": normalized, "mapping_lrmul": 0.02})
        assert generator.merge().num_classes == 5 and generator.merge().z_dim == 20
        z, label = draw(3, 20), np.eye(5)[[0, 3, 3]]
        x = np.concatenate([z, label @ variables["mapping/LabelConcat/weight"]], axis=1).astype(np.float64)
        if normalized:
            x /= np.sqrt((x**2).mean(1, keepdims=True) + 1e-8)
        for i in range(8):
            weight, bias = (variables[f"mapping/Dense{i}/{leaf}"].astype(np.float64) for leaf in ("weight", "bias"))
            x = x @ weight * (0.02 * np.sqrt(2 / len(weight))) + 0.02 * bias
            x = np.where(x > 0, x, 0.2 * x)
        w = synthesis.map_latents(generator, jnp.asarray(z), jnp.asarray(label, jnp.float32))[:, 0]
        np.testing.assert_allclose(w, x, rtol=1e-4, atol=1e-5 * np.abs(x).max())


def test_a_file_without_noise_is_the_network_without_noise():
    arrays = load("stylegan1_tf_64")
    variables, z = _part(arrays, "param/"), jnp.asarray(arrays["input/z"])
    quiet = {name: array for name, array in variables.items() if "oise" not in name}
    generators = stylegan_tensorflow.convert(variables), stylegan_tensorflow.convert(quiet, {"use_noise": False})
    latents = synthesis.map_latents(generators[0], z)
    without = synthesis.synthesize(generators[0], latents, noise=None)
    np.testing.assert_allclose(synthesis.synthesize(generators[1], latents), without, atol=1e-5)
    assert float(jnp.abs(synthesis.synthesize(generators[0], latents) - without).max()) > 0.1


def test_static_arguments_reach_the_configuration():
    variables = _part(load("stylegan1_tf_64"), "param/")
    by_scale = {
        scale: stylegan_tensorflow.configuration(variables, {"fused_scale": scale}) for scale in ("auto", True, False)
    }
    assert [config.fused_from for config in by_scale.values()] == [128, 8, None]
    turned = stylegan_tensorflow.convert(variables, {"fused_scale": True}).params["synthesis"]
    plain = stylegan_tensorflow.convert(variables, {"fused_scale": False, "blur_filter": None})
    assert plain.merge().config.blur_filter == ()
    for block, layer in (("b8", "conv0_up"), ("b64", "conv0_up"), ("b64", "conv1")):
        kernel = plain.params["synthesis"][block][layer]["weight"]
        expected = kernel[::-1, ::-1] if layer == "conv0_up" else kernel
        np.testing.assert_array_equal(turned[block][layer]["weight"], expected)


def test_the_level_of_detail_is_the_whole_networks():
    """The whole network sets the synthesis network's level at each run.

    A file therefore holds the level of the last run.
    """
    variables = _part(load("stylegan1_tf_64"), "param/")
    assert variables["lod"] == variables["synthesis/lod"] == 0
    found = stylegan_tensorflow.convert({**variables, "synthesis/lod": np.float32(2)})
    jax.tree.map(np.testing.assert_array_equal, found.params, stylegan_tensorflow.convert(variables).params)


@pytest.mark.parametrize("taps", [(1.0, 2.0, 1.0), (1.0, 3.0, 3.0, 1.0), (1.0, 2.0), (5.0,)])
def test_blur_is_a_depthwise_convolution(taps):
    x = jax.random.normal(jax.random.key(3), (2, 6, 7, 3))
    kernel = np.outer(taps, taps)[:, :, None, None] / sum(taps) ** 2
    kernel = jnp.asarray(np.broadcast_to(kernel, (len(taps), len(taps), 1, 3)), jnp.float32)
    layout = ("NHWC", "HWIO", "NHWC")
    expected = jax.lax.conv_general_dilated(
        x, kernel, (1, 1), "SAME", dimension_numbers=layout, feature_group_count=3, precision=jax.lax.Precision.HIGHEST
    )
    np.testing.assert_allclose(ops.blur(x, taps), expected, atol=1e-6)


def test_the_style_alone_sets_the_statistics_of_each_channel(small):
    """AdaIN (equation 1): a channel's mean is the shift, its deviation 1 + scale."""
    for noise in ("const", None):
        activations = small.merge()(_latents(small), noise=noise)[1]
        for name in ("b4.epi2", "b8.epi1", "b16.epi2"):
            scale, shift = np.split(np.asarray(activations[f"{name}.style"]), 2, axis=-1)
            x = np.asarray(activations[name], np.float64)
            np.testing.assert_allclose(x.mean((1, 2)), shift, atol=1e-4)
            np.testing.assert_allclose(x.std((1, 2)), np.abs(1.0 + scale), rtol=1e-3)


def test_truncation_zero_is_the_mean_image(small):
    mean = small.params["mapping"]["w_avg"]
    image = synthesis.synthesize(small, jnp.broadcast_to(mean, (2, *small.merge().latent_shape)))
    for seed in (2, 3):
        np.testing.assert_allclose(
            synthesis.synthesize(small, _latents(small, seed=seed), truncation_psi=0.0), image, atol=1e-5
        )
    assert float(jnp.abs(synthesis.synthesize(small, _latents(small)) - image).max()) > 0.01


def test_truncation_with_a_cutoff_leaves_later_styles_alone(small):
    latents = _latents(small)
    run = jax.jit(
        lambda x, psi, cutoff: small.merge()(x, truncation_psi=psi, truncation_cutoff=cutoff)[1], static_argnums=(1, 2)
    )
    full, cut = run(latents, 1.0, None), run(latents, 0.5, 3)
    for layer, name in enumerate(f"b{side}.epi{i}.style" for side in (4, 8, 16) for i in (1, 2)):
        assert np.array_equal(full[name], cut[name]) == (layer >= 3), name


def test_one_program_serves_every_truncation(small):
    """The styles equal those with a constant psi and cutoff."""
    generator, latents = small, _latents(small)
    names = ["b4.epi1.style", "b4.epi2.style", "b16.epi2.style"]
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


@pytest.mark.parametrize("layer", [1, 2, 5])
def test_latents_from_layer_k_on_leave_earlier_activations_alone(small, layer):
    run = jax.jit(lambda params, x: base.merge(small.definition, params)(x)[1])
    latents = _latents(small)
    before, after = run(small.params, latents), run(small.params, latents.at[:, layer:].add(1.0))
    first = f"b{4 * 2 ** (layer // 2)}.epi{layer % 2 + 1}.style"  # the first activation that depends on it
    names = list(base.activation_shapes(small))
    changed = [name for name in names if not np.array_equal(before[name], after[name])]
    # `top_epi` precedes the style. So all activations from `first` on change.
    assert changed == names[names.index(first) :]


def test_noise_of_a_sample_does_not_depend_on_its_batch(small):
    latents, keys = _latents(small, count=3), jax.random.split(jax.random.key(5), 3)
    together = synthesis.synthesize(small, latents, noise=keys)
    np.testing.assert_allclose(together[1:2], synthesis.synthesize(small, latents[1:2], noise=keys[1:2]), atol=1e-4)
    for other in (keys[::-1], None):
        assert float(jnp.abs(together - synthesis.synthesize(small, latents, noise=other)).max()) > 0.01


@pytest.mark.parametrize("noise", ["const", "random"])
def test_noise_is_one_image_for_all_channels_of_a_layer_and_another_in_the_next(small, noise):
    """Block b8 has convolutions with zero weight and bias, so only noise is left."""
    block = small.params["synthesis"]["b8"]
    silent = {name: jax.tree.map(jnp.zeros_like, block[name]) for name in ("conv0_up", "conv1")}
    even = {name: {**block[name], "noise_weight": jnp.ones(5)} for name in ("epi1", "epi2")}
    params = {**small.params, "synthesis": {**small.params["synthesis"], "b8": {**silent, **even}}}
    keys = jax.random.split(jax.random.key(5), 2) if noise == "random" else noise
    activations = small._replace(params=params).merge()(_latents(small), noise=keys)[1]
    first, second = (np.asarray(activations[f"b8.epi{i}.top_epi"]) for i in (1, 2))
    for x in (first, second):
        np.testing.assert_allclose(x, np.broadcast_to(x[..., :1], x.shape), atol=1e-5)
        assert x.std((1, 2)).min() > 0.9
        assert np.allclose(x[0], x[1]) == (noise == "const")  # one stored image, or one image per sample
    assert np.abs(first - second).max() > 0.1


def test_offsets_move_their_activation_and_leave_earlier_ones(small):
    latents, run = _latents(small), jax.jit(lambda x, offsets: small.merge()(x, offsets=offsets))
    image, plain = run(latents, {})
    for name, earlier in (("b8.conv0_up", "b4.epi2"), ("b8.epi1.style", "b8.epi1.top_epi"), ("b8.epi2", "b8.conv1")):
        moved, activations = run(
            latents, {name: jnp.linspace(0.0, 2.0, plain[name][0].size).reshape(plain[name][0].shape)}
        )
        assert float(jnp.abs(moved - image).max()) > 1e-3, name
        assert float((activations[name] - plain[name]).max()) == pytest.approx(2.0, rel=1e-4)
        np.testing.assert_allclose(activations[earlier], plain[earlier], atol=1e-5)
    with pytest.raises(ValueError, match="b9"):
        synthesis.synthesize(small, latents, offsets={"b9.conv": jnp.zeros(1)})


def test_the_published_configuration_has_the_papers_size():
    """FFHQ at 1024 px has 18 layers and 26.2 million trained parameters (section 2)."""
    config = stylegan.Config(z_dim=512, w_dim=512, channels=(512, 512, 512, 512, 256, 128, 64, 32, 16))
    generator = zoo.abstract_generator("stylegan", config)
    leaves = jax.tree_util.tree_leaves_with_path(generator.params)
    names = [jax.tree_util.keystr(path) for path, _ in leaves]
    trained = [
        x.size for name, (_, x) in zip(names, leaves, strict=True) if "noise_const" not in name and "w_avg" not in name
    ]
    assert round(sum(trained) / 1e6, 1) == 26.2
    assert (config.resolution, config.num_layers) == (1024, 18)
    shapes = base.activation_shapes(generator)
    assert shapes["b1024.conv0_up"] == (1024, 1024, 16) and shapes["torgb"] == (1024, 1024, 3)


def test_every_configuration_gives_finite_images():
    config = stylegan.Config(
        z_dim=5, w_dim=4, channels=(3, 4), num_classes=3, mapping_layers=3, mapping_width=7, embed_width=2,
        normalize_latents=False, fused_from=8, blur_filter=(), use_noise=False, compute_dtype="bfloat16",
    )  # fmt: skip
    generator = base.split(stylegan.StyleGAN(config, key=jax.random.key(0)))
    label = jax.nn.one_hot(jnp.array([0, 2]), 3)
    latents = synthesis.map_latents(generator, jax.random.normal(jax.random.key(1), (2, 5)), label)
    image, activations = jax.jit(generator.merge())(latents)
    assert image.shape == (2, 8, 8, 3) and image.dtype == jnp.float32 and bool(jnp.isfinite(image).all())
    assert activations["b8.epi2"].dtype == jnp.bfloat16
    exact = synthesis.synthesize(_with(generator, compute_dtype="float32"), latents)
    assert 0 < float(jnp.abs(exact - image).max() / jnp.abs(exact).max()) < 0.1


def test_labels_are_checked(small):
    z = jnp.zeros((1, 8))
    with pytest.raises(ValueError, match="not conditional"):
        synthesis.map_latents(small, z, jnp.zeros((1, 3)))
    config = dataclasses.replace(small.merge().config, num_classes=3)
    with pytest.raises(ValueError, match=r"label: this generator is conditional; give \[batch, 3\] weights"):
        synthesis.map_latents(_drawn(config), z)


def test_what_does_not_convert_is_named():
    arrays = load("stylegan1_tf_64")
    variables, state = _part(arrays, "param/"), _part(arrays, "param_torch/")
    without = lambda source, name: {k: v for k, v in source.items() if k != name}  # noqa: E731
    with pytest.raises(InputError, match="dlatent_avg: missing"):
        stylegan_tensorflow.convert(without(variables, "dlatent_avg"))
    with pytest.raises(InputError, match="synthesis/4x4/Const/const: missing"):
        stylegan_tensorflow.convert(without(variables, "synthesis/4x4/Const/const"))
    with pytest.raises(InputError, match="extra: nothing"):
        stylegan_tensorflow.convert({**variables, "extra": np.zeros(1)})
    with pytest.raises(InputError, match="lod=2: this network is still growing"):
        stylegan_tensorflow.convert({**variables, "lod": np.float32(2)})
    bare = {name: array for name, array in variables.items() if "Const/" not in name and "mapping/" not in name}
    for option, message in (
        ({"use_styles": False}, "use_styles=False: only networks with True convert"),
        ({"const_input_layer": False}, "const_input_layer=False: only networks with True convert"),
        ({"mapping_layers": 0}, "mapping_layers=0: only networks with a mapping network convert"),
        ({"blur_filter": [[1, 2], [2, 4]]}, r"blur_filter=\[\[1, 2\], \[2, 4\]\]: only a row of numbers converts"),
    ):
        with pytest.raises(InputError, match=message):
            stylegan_tensorflow.convert(bare, option)
    name = "g_synthesis.blocks.8x8.conv0_up.intermediate.kernel"
    with pytest.raises(InputError, match="not one separable blur"):
        stylegan_ganspace.convert({**state, name: np.eye(3, dtype=np.float32)[None, None] / 3})
    with pytest.raises(InputError, match=r"g_synthesis\.torgb\.bias: missing"):
        stylegan_ganspace.convert(without(state, "g_synthesis.torgb.bias"))
