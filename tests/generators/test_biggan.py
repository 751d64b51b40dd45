"""BigGAN and BigGAN-deep match the first author's code.

Each slot and the label act on their layers only.
"""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from checkpoints_convert import biggan_ajbrock
from ganspace_jax.directions import edits
from ganspace_jax.errors import InputError
from ganspace_jax.generators import base, biggan, synthesis, zoo
from tests.golden_arrays import error, load

TOLERANCE = 1e-4
FILES = ("biggan_ajbrock_32", "biggandeep_ajbrock_32")


def _parameters(arrays):
    return {key.removeprefix("param/"): value for key, value in arrays.items() if key.startswith("param/")}


def _options(arrays):
    return {key: value for key, value in arrays["config"]["generator_kwargs"].items() if key in biggan_ajbrock.OPTIONS}


def _run(generator):
    """Returns the compiled function from (latents, label) to (image, activations)."""
    compiled = jax.jit(lambda params, x, y: base.merge(generator.definition, params)(x, label=y))
    return lambda latents, label: compiled(generator.params, latents, label)


@pytest.fixture(scope="module", params=FILES)
def golden(request):
    arrays = load(request.param)
    generator = biggan_ajbrock.convert(_parameters(arrays), _options(arrays))
    latents = synthesis.map_latents(generator, jnp.asarray(arrays["input/z"]))
    return arrays, generator, latents, jnp.asarray(arrays["input/label"]), _run(generator)


@pytest.mark.usefixtures("optimized")
def test_images_and_activations_match_the_reference(golden):
    arrays, _, latents, label, run = golden
    image, activations = run(latents, label)
    assert error(image, arrays["output/image"]) < TOLERANCE
    assert error(activations["shared"], arrays["output/shared_embedding"]) < TOLERANCE
    stored = {key.removeprefix("output/act/"): value for key, value in arrays.items() if "output/act/" in key}
    assert len(stored) == {"biggan_ajbrock": 14, "biggandeep_ajbrock": 33}[arrays["config"]["arch"]]
    for name, reference in stored.items():
        if name == "linear":  # the reference has channels first
            reference = np.moveaxis(reference.reshape(len(reference), -1, 4, 4), 1, -1).reshape(len(reference), -1)
        assert error(activations[name], reference) < TOLERANCE, name


def test_a_mixture_of_classes_matches_the_reference(golden):
    arrays, _, latents, label, run = golden
    mixture = label.at[0].set(0.4 * label[0] + 0.6 * label[1])
    assert error(run(latents, mixture)[0], arrays["output/image_interp_y"]) < TOLERANCE


def test_spectral_norms_match_the_reference(golden):
    arrays = golden[0]
    epsilon = arrays["config"]["generator_kwargs"]["SN_eps"]
    modules = [key.removeprefix("param/").removesuffix(".u0") for key in arrays if key.endswith(".u0")]
    assert {f"output/sigma/{name}" for name in modules} == {key for key in arrays if key.startswith("output/sigma/")}
    for name in modules:
        weight, u = arrays[f"param/{name}.weight"], arrays[f"param/{name}.u0"]
        sigma = biggan_ajbrock.largest_singular_value(weight, u, epsilon)
        assert sigma == pytest.approx(arrays[f"output/sigma/{name}"], rel=TOLERANCE), name


def test_the_largest_singular_value_once_the_iteration_has_converged():
    weight = np.random.default_rng(0).standard_normal((5, 3, 2, 2))
    left, values, _ = np.linalg.svd(weight.reshape(5, -1), full_matrices=False)
    assert biggan_ajbrock.largest_singular_value(weight, left[:, :1].T, 1e-12) == pytest.approx(values[0], rel=1e-10)


@pytest.mark.parametrize("slot", [0, 1, 2, 3])
def test_a_slot_acts_on_its_place_and_what_follows(golden, slot):
    _, generator, latents, label, run = golden
    before, after = (run(x, label)[1] for x in (latents, latents.at[:, slot].add(1.0)))
    names = list(base.activation_shapes(generator))  # in the order of the forward pass
    first = names.index("linear" if slot == 0 else f"blocks.{slot - 1}.0.bn1.gain")
    for name in names[:first]:
        np.testing.assert_array_equal(before[name], after[name], err_msg=name)
    for name in names[first : first + 3] if slot else names[first : first + 1]:
        assert np.any(np.asarray(before[name]) != np.asarray(after[name])), name
    for block in range(len(generator.merge().config.blocks)):  # other blocks' conditions do not depend on it
        alike = np.array_equal(before[f"blocks.{block}.0.bn2.gain"], after[f"blocks.{block}.0.bn2.gain"])
        assert alike == (block != slot - 1)


def test_hierarchical_z_is_cut_into_chunks_and_the_remainder_dropped():
    config = biggan.Config(25, 2, ((True, 8, 8), (True, 8, 4), (True, 4, 4)), embed_width=3)
    module = zoo.abstract_generator("biggan", config).merge()
    assert module.z_dim == 24 and module.latent_shape == (4, 6)
    z = jnp.arange(48.0).reshape(2, 24)
    np.testing.assert_array_equal(module.map_latents(z)[1, 2], np.arange(36.0, 42.0))
    np.testing.assert_array_equal(module.map_latents(jnp.pad(z, ((0, 0), (0, 1)))), module.map_latents(z))
    np.testing.assert_array_equal(edits.by_layer(np.asarray(z[1]), *module.latent_shape), module.map_latents(z)[1])


def test_the_label_acts_linearly_at_the_embedding(golden):
    """Every gain is linear in the embedding, and so linear in the label."""
    _, _, latents, label, run = golden
    first, second = (jnp.tile(label[i], (3, 1)) for i in (0, 1))
    at = [run(latents, y)[1] for y in (first, second, 0.25 * first + 0.75 * second)]
    for name in ("shared", "blocks.0.0.bn1.gain", "blocks.2.0.bn2.bias"):
        np.testing.assert_allclose(at[2][name], 0.25 * at[0][name] + 0.75 * at[1][name], atol=1e-5, err_msg=name)
        assert np.abs(np.asarray(at[0][name] - at[1][name])).max() > 0.01, name


def _unshared(num_classes=5, z_dim=7, widths=(8, 8, 4), image_channels=1):
    """Returns a state dict of a BigGAN with one embedding per batch norm.

    It has one latent and no spectral norm.
    """
    rng = np.random.default_rng(0)
    normal = lambda *shape: 0.3 * rng.standard_normal(shape, np.float32)  # noqa: E731
    statistics = lambda name, n: {f"{name}.stored_mean": normal(n), f"{name}.stored_var": np.exp(normal(n))}  # noqa: E731
    layer = lambda name, *shape: {f"{name}.weight": normal(*shape), f"{name}.bias": normal(shape[0])}  # noqa: E731
    state = layer("linear", 16 * widths[0], z_dim)
    for k, (before, after) in enumerate(itertools.pairwise(widths)):
        name = f"blocks.{k}.0"
        state |= layer(f"{name}.conv1", after, before, 3, 3) | layer(f"{name}.conv2", after, after, 3, 3)
        state |= layer(f"{name}.conv_sc", after, before, 1, 1)
        for norm, channels in ((f"{name}.bn1", before), (f"{name}.bn2", after)):
            state |= statistics(norm, channels)
            state |= {f"{norm}.{part}.weight": normal(num_classes, channels) for part in ("gain", "bias")}
    state |= {f"output_layer.0.{part}": normal(widths[-1]) for part in ("gain", "bias")}
    return state | statistics("output_layer.0", widths[-1]) | layer("output_layer.2", image_channels, widths[-1], 3, 3)


def test_without_a_shared_embedding_each_gain_is_a_row_of_its_own():
    state = _unshared()
    generator = biggan_ajbrock.convert(state)
    module = generator.merge()
    assert module.latent_shape == (1, 7) and module.num_classes == 5 and not module.config.hierarchical
    label = jax.nn.one_hot(jnp.array([3, 0]), 5)
    image, activations = _run(generator)(synthesis.map_latents(generator, jnp.ones((2, 7))), label)
    assert image.shape == (2, 16, 16, 1)
    for name in ("blocks.0.0.bn1.gain", "blocks.1.0.bn2.bias"):
        np.testing.assert_allclose(activations[name], state[f"{name}.weight"][[3, 0]], rtol=1e-6)


def test_batch_norms_have_their_own_epsilon():
    """The output's epsilon stays 1e-5 if the blocks' epsilon is large."""
    config = biggan.Config(3, 2, ((True, 4, 4),), embed_width=3, epsilon=0.5)
    x = jax.random.normal(jax.random.key(0), (1, 2, 2, 4))
    conditional = biggan.ConditionalBatchNorm(config, 4, key=jax.random.key(1))
    y = conditional(x, jnp.zeros((1, config.condition_width)), base.Recorder(), "bn")
    np.testing.assert_allclose(y, np.asarray(x) / np.sqrt(1.5), rtol=1e-5)
    output = biggan.OutputBatchNorm(4)
    output.stored_var[...] = jnp.full(4, 1e-5)
    np.testing.assert_allclose(output(x), np.asarray(x) / np.sqrt(2e-5), rtol=1e-5)


@pytest.mark.parametrize("leaf", ["stored", "running"])
def test_the_other_batch_norms_of_that_code_convert_alike(golden, leaf):
    """The code's own and synchronised batch norms store statistics one level deeper.

    The state also has DataParallel's prefix and more singular vectors.
    """
    arrays, generator, *_ = golden
    state = _parameters(arrays)
    deeper = {f"module.{k}".replace(".stored_", f".bn.{leaf}_"): v for k, v in state.items()}
    deeper |= {"module.linear.u1": state["linear.u0"], "module.linear.sv1": state["linear.sv0"]}
    deeper |= {"module.blocks.0.0.bn1.bn.accumulation_counter": np.zeros(1)}
    jax.tree.map(
        np.testing.assert_array_equal,
        biggan_ajbrock.convert(deeper, _options(arrays)).params,
        generator.params,
    )


def test_attention_at_several_resolutions_and_another_bottom_width():
    """A second attention with gamma 0 is the identity.

    A quarter of the rows of `linear` gives a map of half the side.
    """
    arrays = load("biggan_ajbrock_32")
    state = _parameters(arrays)
    state |= {k.replace("blocks.1.1", "blocks.0.1"): v for k, v in state.items() if k.startswith("blocks.1.1")}
    state["blocks.0.1.gamma"] = np.zeros(())
    generator = biggan_ajbrock.convert(state)
    assert generator.merge().config.attention == (0, 1)
    latents, label = (
        synthesis.map_latents(generator, jnp.asarray(arrays["input/z"])),
        jnp.asarray(arrays["input/label"]),
    )
    image, activations = _run(generator)(latents, label)
    np.testing.assert_array_equal(activations["blocks.0.1"], activations["blocks.0.0"])
    assert error(image, arrays["output/image"]) < TOLERANCE
    narrow = {
        k: (v if not k.startswith("linear") else v[..., :128] if k.endswith("u0") else v[:128])
        for k, v in state.items()
    }
    config = biggan_ajbrock.configuration(narrow)
    assert config.bottom_width == 2 and config.resolution == 16


PUBLISHED = {  # channels in and out of the stages in multiples of G_ch, by resolution
    32: ([4, 4, 4], [4, 4, 4]),
    64: ([16, 16, 8, 4], [16, 8, 4, 2]),
    128: ([16, 16, 8, 4, 2], [16, 8, 4, 2, 1]),
    256: ([16, 16, 8, 8, 4, 2], [16, 8, 8, 4, 2, 1]),
    512: ([16, 16, 8, 8, 4, 2, 1], [16, 8, 8, 4, 2, 1, 1]),
}


def _deep_shapes(before, after, depth, width=4):
    """Returns the arrays of a BigGAN-deep that the configuration reads."""
    zeros = lambda *shape: np.zeros(shape, np.float32)  # noqa: E731
    state = {"shared.weight": zeros(5, 6), "linear.weight": zeros(16 * width * before[0], 13)}
    state |= {"output_layer.2.weight": zeros(3, width * after[-1], 3, 3), "blocks.0.0.bn1.gain.weight": zeros(1, 13)}
    blocks = [
        (a, b if last else a) for a, b in zip(before, after, strict=True) for last in [False] * (depth - 1) + [True]
    ]
    for k, (a, b) in enumerate(blocks):
        state |= {f"blocks.{k}.0.conv1.weight": zeros(width * a // 4, width * a, 1, 1)}
        state |= {f"blocks.{k}.0.conv4.weight": zeros(width * b, width * a // 4, 1, 1)}
    return state


@pytest.mark.parametrize("resolution", PUBLISHED)
@pytest.mark.parametrize("depth", [1, 2, 4])
def test_the_depth_of_a_stage_is_seen_in_the_published_widths(resolution, depth):
    config = biggan_ajbrock.configuration(_deep_shapes(*PUBLISHED[resolution], depth))
    assert config.resolution == resolution and len(config.blocks) == depth * len(PUBLISHED[resolution][0])
    assert [k for k, block in enumerate(config.blocks) if block[0]] == list(range(depth - 1, len(config.blocks), depth))


def test_the_depth_of_a_stage_of_other_widths_is_an_option():
    state = _deep_shapes([4, 4, 2], [4, 2, 2], 2)
    with pytest.raises(InputError, match="G_depth: the blocks have the widths of no published network"):
        biggan_ajbrock.configuration(state)
    assert biggan_ajbrock.configuration(state, {"G_depth": 2}).resolution == 32
    golden_state = _parameters(load("biggandeep_ajbrock_32"))
    resolutions = {
        depth: biggan_ajbrock.configuration(golden_state, {"G_depth": depth}).resolution for depth in (1, 2, 3)
    }
    assert resolutions == {1: 256, 2: 32, 3: 16}
    for depth in (0, -2, 1.5, 2.5, 4, 12, float("nan"), float("inf")):
        with pytest.raises(InputError, match=f"G_depth={depth:g}: wanted is a whole number that divides .*, 6"):
            biggan_ajbrock.configuration(golden_state, {"G_depth": depth})


def test_a_narrower_truncation_is_not_the_generators_business(golden):
    _, generator, latents, label, run = golden
    narrower = synthesis.synthesize(generator, latents, label=label, truncation_psi=0.5)
    np.testing.assert_allclose(narrower, run(latents, label)[0], atol=1e-6)


def test_what_does_not_fit_is_named(golden):
    arrays = golden[0]
    state, options = _parameters(arrays), _options(arrays)
    without = lambda name: {key: value for key, value in state.items() if key != name}  # noqa: E731
    with pytest.raises(InputError, match=r"blocks\.0\.0\.extra: nothing .* uses it"):
        biggan_ajbrock.convert({**state, "blocks.0.0.extra": np.zeros(1)}, options)
    for name in ("linear.weight", "linear.bias", "blocks.1.0.conv1.weight", "output_layer.0.stored_mean"):
        with pytest.raises(InputError, match=f"{name}: missing"):
            biggan_ajbrock.convert(without(name), options)
    with pytest.raises(InputError, match="option G_ch: there are: BN_eps"):
        biggan_ajbrock.convert(state, {"G_ch": 8})
    with pytest.raises(InputError, match="blocks: there are 70; networks of up to 64 are converted"):
        biggan_ajbrock.convert({**state, "blocks.69.0.conv1.weight": np.zeros(1)}, options)
    with pytest.raises(InputError, match="norm_style: the blocks keep no statistics, as with nonorm"):
        kept = {key: value for key, value in state.items() if not key.startswith("blocks.") or "stored" not in key}
        biggan_ajbrock.convert(kept, options)
    with pytest.raises(InputError, match="128 channels"):
        wide = {**state, "output_layer.2.weight": np.zeros((128, 32, 3, 3))}
        biggan_ajbrock.convert(wide, options)
    with pytest.raises(ValueError, match=r"label: this generator is conditional; give \[batch, 6\] weights"):
        synthesis.synthesize(golden[1], golden[2])


def test_configurations_that_the_published_code_cannot_build_are_refused():
    with pytest.raises(ValueError, match="hierarchical: .* give embed_width"):
        biggan.Config(4, 2, ((True, 4, 4),))
    with pytest.raises(ValueError, match="deep: .* hierarchical must be true"):
        biggan.Config(4, 2, ((True, 4, 4),), deep=True, embed_width=3, hierarchical=False)
