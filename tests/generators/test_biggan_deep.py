"""BigGAN-deep matches the reference port, and each part acts on its layers only."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from checkpoints_convert import assembly, biggan_huggingface
from ganspace_jax.errors import InputError
from ganspace_jax.generators import base, biggan_deep, synthesis
from tests.golden_arrays import error, load

TOLERANCE = 1e-4
BLOCKS = ((False, 4, 4), (True, 4, 4), (False, 4, 2))


def _parameters(arrays):
    return {key.removeprefix("param/"): value for key, value in arrays.items() if key.startswith("param/")}


@pytest.fixture(scope="module")
def golden():
    arrays = load("biggan_deep_hf_128")
    generator = biggan_huggingface.convert(_parameters(arrays), arrays["config"]["config_json"])
    latents = synthesis.map_latents(generator, jnp.asarray(arrays["input/z"]))
    return arrays, generator, latents, jnp.asarray(arrays["input/label"])


@pytest.mark.usefixtures("optimized")
def test_image_and_activations_match_the_reference(golden):
    arrays, generator, latents, label = golden
    module = generator.merge()
    image, activations = jax.jit(lambda x, y: module(x, label=y))(latents, label)
    assert error(image, arrays["output/image"]) < TOLERANCE
    stored = {
        k.removeprefix("output/act/"): v for k, v in load("biggan_deep_hf_128_acts").items() if "output/act/" in k
    }
    assert len(stored) == 25
    for name, reference in stored.items():
        ours = activations[name.removeprefix("generator.").replace("snconv1x1_", "")]
        assert error(ours, reference[:, :3] if name.endswith("conv_to_rgb") else reference) < TOLERANCE, name


@pytest.fixture(scope="module")
def synthesize_traced(golden):
    """Returns a function from psi to the first image, and its list of traces.

    Its program has a traced psi.
    """
    _, generator, latents, label = golden
    traces = []

    @jax.jit
    def run(params, psi):
        traces.append(psi)
        return base.merge(generator.definition, params)(latents[:1], label=label[:1], truncation_psi=psi)[0]

    return lambda psi: run(generator.params, psi), traces


@pytest.mark.parametrize(("file", "psi"), [("a", 0.5), ("a", 0.43), ("a", 0.425), ("b", 0.56), (None, 1.0)])
def test_truncated_images_match_the_reference(golden, synthesize_traced, file, psi):
    arrays, generator, latents, label = golden
    stored = load(f"biggan_deep_hf_128_trunc_{file}") if file else {}
    reference = stored.get(f"output/image_truncation{psi}", arrays["output/image"][:1])
    image = synthesis.synthesize(generator, latents[:1], label=label[:1], truncation_psi=psi)
    traced, traces = synthesize_traced
    for found in (image, traced(psi)):
        assert error(found, reference) < 1e-5
    assert len(traces) == 1


def test_a_latent_for_each_block_matches_the_reference(golden):
    _, generator, _, label = golden
    arrays = load("biggan_deep_hf_128_trunc_b")
    latents = jnp.asarray(arrays["input/ws"])
    assert latents.shape[1:] == generator.merge().latent_shape
    assert error(synthesis.synthesize(generator, latents, label=label[:1]), arrays["output/image_ws"]) < TOLERANCE


@pytest.mark.parametrize(("resolution", "slots"), [(128, 11), (256, 13), (512, 15)])
def test_published_configurations(resolution, slots):
    """Each layer list has its resolution and the published number of latents.

    Its channels go from 16 to 1 times the width.
    """
    config = biggan_deep.Config(128, 1000, 128, biggan_deep.PUBLISHED_BLOCKS[resolution])
    assert config.resolution == resolution and len(config.blocks) + 1 == slots
    channels = [config.blocks[0][1], *(block[2] for block in config.blocks)]
    assert channels[0] == 16 and channels[-1] == 1
    assert [block[1] for block in config.blocks] == channels[:-1]


def test_statistics_rows_interpolate_backwards():
    """The cases are exact steps, halves, and quotients that rounding moves."""
    rows = {psi: biggan_deep.statistics_rows(psi, 51) for psi in (1.0, 0.5, 0.02, 0.425, 0.56, 0.58)}
    assert rows[1.0] == (50, 1.0) and rows[0.5] == (25, 1.0) and rows[0.02] == (1, 1.0)
    assert rows[0.425][0] == 21 and rows[0.425][1] == pytest.approx(0.25)
    assert rows[0.56][0] == 28 and 0 < rows[0.56][1] < 1e-10  # so it uses row 29
    assert rows[0.58][0] == 28 and rows[0.58][1] > 1 - 1e-10  # so it uses row 28
    assert biggan_deep.statistics_rows(0.3, 1) == (0, 1.0)
    for psi in (-0.1, 1.01):
        with pytest.raises(ValueError, match=f"truncation_psi={psi}"):
            biggan_deep.statistics_rows(psi, 51)
        with pytest.raises(ValueError, match="truncation_psi="):
            biggan_deep.statistics_rows(jnp.float32(psi), 51)


@pytest.mark.parametrize("num_statistics", [1, 2, 3, 50, 51])
def test_one_program_reads_the_statistics_of_every_truncation(num_statistics):
    """The rows equal the released code's in float64, at and between steps."""
    table, traces = np.random.default_rng(0).standard_normal((num_statistics, 2)), []

    @jax.jit
    def read(psi):
        traces.append(psi)
        return biggan_deep.statistics_rows(psi, num_statistics).read(jnp.asarray(table, jnp.float32))

    count = max(num_statistics - 1, 1)
    for psi in (*(k / count for k in range(count + 1)), 0.43, 0.425, 0.5, 0.56, 0.58, 0.123456):
        share, first = np.modf(psi / (1.0 / count))
        first = min(int(first), num_statistics - 1)
        after = min(first + 1, num_statistics - 1)
        expected = table[first] if share == 0 else table[first] * share + table[after] * (1.0 - share)
        exact = biggan_deep.statistics_rows(psi, num_statistics).read(jnp.asarray(table, jnp.float32))
        np.testing.assert_allclose(exact, expected, rtol=1e-6, atol=1e-6)
        np.testing.assert_allclose(read(psi), expected, rtol=0, atol=1e-4)
    assert len(traces) == 1


@pytest.fixture(scope="module")
def small():
    """The generator has three blocks, with attention before the last.

    Gamma and statistics differ from their initial values.
    """
    config = biggan_deep.Config(6, 3, 8, BLOCKS, attention_position=2, embed_width=5, num_statistics=3)
    generator = base.split(biggan_deep.BigGANDeep(config, key=jax.random.key(0)))
    leaves, structure = jax.tree.flatten(generator.params)
    keys = jax.random.split(jax.random.key(1), len(leaves))
    moved = [x + 0.3 * jnp.abs(jax.random.normal(k, x.shape)) for x, k in zip(leaves, keys, strict=True)]
    return generator._replace(params=jax.tree.unflatten(structure, moved))


@pytest.fixture(scope="module")
def inputs(small):
    z = jax.random.normal(jax.random.key(2), (4, 6))
    return synthesis.map_latents(small, z), jax.nn.one_hot(jnp.array([0, 1, 2, 0]), 3)


def test_the_label_acts_through_its_embedding_alone(small, inputs):
    """The output of gen_z for a mixture of labels lies between the labels' outputs.

    Classes with equal embeddings give equal images (compared before tanh).
    """
    latents, label = inputs
    first, second = (jax.nn.one_hot(jnp.full(4, i), 3) for i in (0, 1))
    at = [synthesis.activation(small, latents, "gen_z", label=y) for y in (first, second, 0.25 * first + 0.75 * second)]
    np.testing.assert_allclose(at[2], 0.25 * at[0] + 0.75 * at[1], atol=1e-5)
    assert np.abs(np.asarray(at[0] - at[1])).max() > 0.01
    embedding = small.params["embeddings"]["weight"]
    alike = {**small.params, "embeddings": {"weight": jnp.tile(embedding[:1], (3, 1))}}
    made = [
        synthesis.activation(small._replace(params=alike), latents, "conv_to_rgb", label=y) for y in (first, second)
    ]
    np.testing.assert_array_equal(*made)
    others = synthesis.activation(small, latents, "conv_to_rgb", label=label)
    differs = np.any(np.asarray(made[0]) != np.asarray(others), axis=(1, 2, 3))
    np.testing.assert_array_equal(differs, [False, True, True, False])


def test_changing_one_blocks_latent_leaves_earlier_activations(small, inputs):
    latents, label = inputs
    module = small.merge()
    before = module(latents, label=label)[1]
    after = module(latents.at[:, 2].add(1.0), label=label)[1]
    names = list(before)
    cut = names.index("layers.1.bn_0.scale")
    for name in names[:cut]:
        np.testing.assert_array_equal(before[name], after[name], err_msg=name)
    assert np.any(np.asarray(before["layers.1"]) != np.asarray(after["layers.1"]))


def test_truncation_changes_the_statistics_alone(small, inputs):
    latents, label = inputs
    module = small.merge()
    full, half = (module(latents, label=label, truncation_psi=psi)[1] for psi in (1.0, 0.5))
    np.testing.assert_array_equal(full["gen_z"], half["gen_z"])
    np.testing.assert_array_equal(full["layers.0.bn_0.scale"], half["layers.0.bn_0.scale"])
    assert np.any(np.asarray(full["layers.0.bn_0"]) != np.asarray(half["layers.0.bn_0"]))


def test_batch_statistics_normalise_the_batch(small, inputs):
    """A batch norm in training removes and records its input's mean and variance."""
    latents, label = inputs
    module = small.merge()
    activations = module(latents, label=label, batch_statistics=True)[1]
    x = np.asarray(activations["gen_z"], np.float64).reshape(-1, 32)
    np.testing.assert_allclose(activations["layers.0.bn_0.mean"], x.mean(0), atol=1e-5)
    np.testing.assert_allclose(activations["layers.0.bn_0.variance"], x.var(0), rtol=1e-4)
    names = [name for name in activations if name.endswith(".mean")]
    assert len(names) == 4 * len(BLOCKS) + 1


def test_attention_is_the_softmax_average_of_the_values(small):
    """Attention equals its definition in float64 loops."""
    attention = small.merge().layers_2
    x = jax.random.normal(jax.random.key(5), (1, 8, 8, 32))
    found = np.asarray(attention(x, base.Recorder(), "a"))
    theta, phi, g, out = (
        np.asarray(getattr(attention, n).weight[...], np.float64)[0, 0] for n in ("theta", "phi", "g", "o_conv")
    )
    flat = np.asarray(x, np.float64)[0]
    pool = lambda m: m.reshape(4, 2, 4, 2, -1).max((1, 3)).reshape(16, -1)  # noqa: E731
    keys, values = pool(flat @ phi), pool(flat @ g)
    for i, j in ((0, 0), (3, 5), (7, 7)):
        weights = np.exp(keys @ (flat[i, j] @ theta))
        expected = flat[i, j] + float(attention.gamma[...]) * ((weights @ values) / weights.sum()) @ out
        np.testing.assert_allclose(found[0, i, j], expected, rtol=1e-4, atol=1e-4)


def test_folding_spectral_norm_leaves_outputs_unchanged():
    """The test checks x W / sigma = x (W / sigma).

    For converged vectors sigma is the largest singular value.
    """
    rng = np.random.default_rng(0)
    weight = rng.standard_normal((5, 3, 2, 2)).astype(np.float32)
    left, values, right = np.linalg.svd(weight.reshape(5, -1).astype(np.float64), full_matrices=False)
    folded = assembly.divide_spectral_norm(weight, left[:, 0], right[0])
    np.testing.assert_allclose(folded, weight / values[0], rtol=1e-6)
    u, v = rng.standard_normal(5), rng.standard_normal(12)
    x = rng.standard_normal(12)
    sigma = u @ weight.reshape(5, -1) @ v
    np.testing.assert_allclose(
        assembly.divide_spectral_norm(weight, u, v).reshape(5, -1) @ x, weight.reshape(5, -1) @ x / sigma, rtol=1e-4
    )


def test_parameters_that_do_not_fit_are_named(golden):
    arrays = golden[0]
    state, config = _parameters(arrays), arrays["config"]["config_json"]
    with pytest.raises(InputError, match=r"generator\.extra: nothing .* uses it"):
        biggan_huggingface.convert({**state, "generator.extra": np.zeros(1)}, config)
    with pytest.raises(InputError, match=r"generator\.gen_z\.bias: missing"):
        biggan_huggingface.convert({k: v for k, v in state.items() if k != "generator.gen_z.bias"}, config)
    with pytest.raises(InputError, match="the configuration requires"):
        biggan_huggingface.convert(state, {**config, "num_classes": 8})


def test_configurations_are_read_as_the_package_reads_them():
    """The package ignores class_embed_dim.

    It builds attention only if a layer has the number attention_layer_position.
    """
    config = {**biggan_huggingface.DEFAULTS, "class_embed_dim": 64, "z_dim": 16}
    found = biggan_huggingface.configuration(config)
    assert found.condition_width == 32 and found.attention_position == 8
    for position in (-3, 10, 99, None):
        there = biggan_huggingface.configuration({**config, "attention_layer_position": position})
        assert there.attention_position == -1
    as_numbers = {**config, "layers": [[0, 16, 16], [1, 16, 8]], "eps": 0}
    assert biggan_huggingface.configuration(as_numbers).blocks == ((False, 16, 16), (True, 16, 8))


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"eps": "1e-4"}, "eps is '1e-4', wanted is a number from 0 on"),
        ({"eps": float("nan")}, "eps is nan"),
        ({"z_dim": 6.0}, "z_dim is 6.0, wanted is a whole number from 1 on"),
        ({"num_classes": True}, "num_classes is True"),
        ({"n_stats": 0}, "n_stats is 0"),
        ({"channel_width": "\n" * 99}, "channel_width is .*, wanted is a whole number"),
        ({"layers": []}, "layers is .*, wanted is a list of up to 64"),
        ({"layers": [[True, 1]]}, "layers is"),
        ({"layers": [["False", 1, 1]]}, "layers is"),
        ({"layers": [[False, 1, 1]] * 65}, "layers is"),
    ],
)
def test_entries_that_are_no_such_numbers_are_named(entry, message):
    with pytest.raises(InputError, match=f"^config.json: {message}") as caught:
        biggan_huggingface.configuration({**biggan_huggingface.DEFAULTS, **entry})
    assert len(str(caught.value).splitlines()) == 1


def test_a_missing_label_is_asked_for(small, inputs):
    with pytest.raises(ValueError, match=r"label: this generator is conditional; give \[batch, 3\] weights"):
        synthesis.synthesize(small, inputs[0])
