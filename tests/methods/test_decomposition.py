"""The pipeline against float64 NumPy on the same samples."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ganspace_jax.directions import components, edited_images, random_directions
from ganspace_jax.directions.edits import Edit
from ganspace_jax.errors import InputError
from ganspace_jax.generators import base, stylegan2, synthesis, zoo
from ganspace_jax.generators.synthesis import Synthesis
from ganspace_jax.methods.decomposition import Decomposition
from ganspace_jax.methods.estimators import choice
from ganspace_jax.sampling import latents
from ganspace_jax.sampling.layers import LayerSpec
from ganspace_jax.sampling.sweep_parts import Samples
from tests import calls

SAMPLES = 3001  # not a multiple of any batch size


@pytest.fixture(scope="module")
def generator():
    config = stylegan2.Config(z_dim=6, w_dim=12, channels=(5, 4), mapping_layers=3, mapping_learning_rate=1.0)
    return base.split(stylegan2.StyleGAN2(config, key=jax.random.key(3)))


def _samples(generator):
    """z, w and the activation of b4.conv1, in float64, computed in one go."""
    z = latents.sample(jax.random.key(7), jnp.arange(SAMPLES), 6)
    mapped = synthesis.map_latents(generator, z)
    activation = synthesis.activation(generator, mapped, "b4.conv1").reshape(SAMPLES, -1)
    return tuple(np.asarray(x, np.float64) for x in (z, mapped[:, 0], activation))


def _reference(activations, count):
    centred = activations - activations.mean(0)
    _, singular, rows = np.linalg.svd(centred, full_matrices=False)
    return singular[:count] ** 2 / (len(activations) - 1), rows[:count], centred @ rows[:count].T


def _angle(a, b):
    return float(np.arcsin(min(1.0, np.linalg.norm(b - (b @ a.T) @ a, ord=2))))


@pytest.mark.parametrize("layer", ["w", "b4.conv1"])
def test_it_equals_float64_numpy_on_the_same_samples(generator, layer):
    z, w, activation = _samples(generator)
    found = calls.decompose(
        generator, layer=layer, latent_space="z", num_samples=SAMPLES, num_components=4, batch_size=1000, seed=7
    )
    published = calls.decompose(
        generator, layer=layer, latent_space="z", num_samples=SAMPLES, num_components=4, batch_size=1000, seed=7,
        latent_rule="published",
    )  # fmt: skip
    variances, rows, coordinates = _reference(w if layer == "w" else activation, 4)
    np.testing.assert_allclose(np.square(found.activation_stdevs), variances, rtol=1e-5)
    assert _angle(found.activation_components.reshape(4, -1), rows) < 1e-3
    backward = np.linalg.lstsq(coordinates, z - z.mean(0), rcond=None)[0]
    gradients = np.linalg.lstsq(z - z.mean(0), coordinates, rcond=None)[0].T
    for directions, expected in ((published.latent_components, backward), (found.latent_components, gradients)):
        expected = expected / np.linalg.norm(expected, axis=1, keepdims=True)
        expected *= np.sign(np.sum(expected * directions, axis=1, keepdims=True))
        np.testing.assert_allclose(directions, expected, atol=1e-3)
    assert np.abs(published.latent_components - found.latent_components).max() > 0.01


def test_the_randomized_estimator_agrees_with_the_exact_one(generator):
    """On the same samples: subspace, variances, directions in z and all figures; the
    exact one never takes its place.
    """
    settings = dict(layer="b8.conv0", latent_space="z", num_samples=SAMPLES, num_components=5, batch_size=700, seed=7)
    exact = calls.decompose(generator, estimator="exact", **settings)
    reports = []
    found = calls.decompose(generator, memory_gb=1e-6, report=reports.append, **settings)
    assert found.source.estimator == "randomized" and exact.source.estimator == "exact"
    notes = list(dict.fromkeys(report.note for report in reports if report.note.startswith("sweep")))
    assert [note.split(";")[0] for note in notes] == [f"sweep {k}" for k in range(1, len(notes) + 1)]
    assert len(notes) > 3 and found.source.num_sweeps == len(notes)
    known_to = float(notes[-1].split("known to ")[1].removesuffix(" deg"))
    assert known_to < np.degrees(2e-4)
    assert _angle(*(one.activation_components.reshape(5, -1) for one in (exact, found))) < 1e-3
    np.testing.assert_allclose(found.activation_stdevs, exact.activation_stdevs, rtol=5e-5)
    np.testing.assert_allclose(found.activation_components, exact.activation_components, atol=2e-3)
    np.testing.assert_allclose(found.activation_mean, exact.activation_mean, atol=1e-5)
    np.testing.assert_allclose(found.latent_components, exact.latent_components, atol=2e-3)
    for name in ("variance_ratio", "random_stdevs", "r2"):
        np.testing.assert_allclose(getattr(found, name), getattr(exact, name), rtol=1e-3)
    for name in ("stability", "variance_error", "latent_uncertainty"):
        np.testing.assert_allclose(getattr(found, name), getattr(exact, name), rtol=0.05)


def test_the_incremental_estimator_is_near_the_exact_one(generator):
    settings = dict(layer="b8.conv0", latent_space="z", num_samples=SAMPLES, num_components=3, batch_size=700, seed=7)
    exact = calls.decompose(generator, estimator="exact", **settings)
    found = calls.decompose(generator, estimator="incremental", **settings)
    assert found.source.estimator == "incremental"
    assert _angle(*(one.activation_components.reshape(3, -1) for one in (exact, found))) < 0.02
    np.testing.assert_allclose(found.activation_stdevs, exact.activation_stdevs, rtol=1e-3)
    np.testing.assert_allclose(found.random_stdevs, exact.random_stdevs, rtol=1e-4)
    np.testing.assert_allclose(found.r2, exact.r2, rtol=0.02)
    np.testing.assert_allclose(found.stability, exact.stability, rtol=0.2)
    np.testing.assert_allclose(found.latent_uncertainty, exact.latent_uncertainty, rtol=0.2)
    with pytest.raises(InputError, match="--until_stable=1.0: the incremental estimator uses all samples"):
        calls.decompose(generator, estimator="incremental", until_stable=1.0, **settings)


@pytest.mark.parametrize("estimator", ["exact", "randomized"])
def test_sampling_ends_when_the_components_are_stable(generator, estimator):
    """As soon as the angle asked for is reached, after a power of two of the first set,
    with the result of so many samples.
    """
    settings = dict(layer="b8.conv0", num_components=2, estimator=estimator, seed=7, batch_size=500)
    found = calls.decompose(generator, num_samples=64_000, until_stable=1.5, **settings)
    count = found.source.num_samples
    assert count in (2000, 4000, 8000, 16_000, 32_000) and found.stability.max() < 1.5
    plain, before = (calls.decompose(generator, num_samples=n, **settings) for n in (count, count // 2))
    assert before.stability.max() >= 1.5
    np.testing.assert_allclose(found.activation_components, plain.activation_components, atol=1e-4)
    np.testing.assert_allclose(found.stability, plain.stability, rtol=1e-2)
    assert calls.decompose(generator, num_samples=2001, until_stable=1e-9, **settings).source.num_samples == 2001


def test_the_memory_budget_chooses_the_estimator(generator):
    """An estimator that is named is held to the budget, too."""
    samples = Samples(generator, LayerSpec("b8.conv0", "z"), 100_000, 0)  # 256 dimensions
    needed = choice.ESTIMATORS["exact"].host_bytes(samples.sizes(), 3) / 1e9
    assert choice.choose("auto", samples, 3, 1.01 * needed) == "exact"
    assert choice.choose("auto", samples, 3, 0.99 * needed) == "randomized"
    with pytest.raises(InputError, match="--estimator=exact: needs 0.0 GB for layer b8.conv0, --memory_budget_gb"):
        choice.choose("exact", samples, 3, 0.99 * needed)
    assert choice.choose("analytic", samples, 3, 1e-9) == "analytic"


def test_time_chooses_the_estimator_where_both_fit(monkeypatch, generator):
    """Few samples of a large layer: a few sweeps cost less than D x D products and
    their eigenvectors.
    """
    samples = Samples(generator, LayerSpec("b8.conv0", "z"), 3000, 0)
    monkeypatch.setattr(choice, "sample_cost", lambda samples: 1e5)
    monkeypatch.setattr(Samples, "sizes", lambda self: (8192, 6))
    assert choice.choose("auto", samples, 5, 100.0) == "randomized"
    monkeypatch.setattr(Samples, "sizes", lambda self: (512, 6))
    assert choice.choose("auto", samples._replace(num_samples=10**6), 80, 100.0) == "exact"


def test_xlas_account_of_a_sample_counts_the_layers_up_to_the_named_one(generator):
    costs = [choice.sample_cost(Samples(generator, LayerSpec(layer, "z"), 100, 0)) for layer in ("w", "b8.conv0")]
    assert 0 < 5 * costs[0] < costs[1]


def test_the_result_does_not_depend_on_the_batch_size(generator):
    runs = [
        calls.decompose(generator, num_samples=SAMPLES, num_components=5, batch_size=size, seed=1)
        for size in (100, 1000, 4096)
    ]
    for other in runs[1:]:
        np.testing.assert_allclose(other.activation_stdevs, runs[0].activation_stdevs, rtol=1e-5)
        np.testing.assert_allclose(other.activation_components, runs[0].activation_components, atol=1e-4)
        np.testing.assert_allclose(other.stability, runs[0].stability, rtol=1e-2)


def test_sample_i_depends_on_its_number_alone():
    key = jax.random.key(0)
    whole = latents.sample(key, jnp.arange(10), 4)
    np.testing.assert_array_equal(latents.sample(key, jnp.array([7, 3]), 4), whole[jnp.array([7, 3])])
    assert not np.array_equal(latents.sample(jax.random.key(1), jnp.arange(10), 4), whole)


def test_directions_in_w_of_layer_w_are_the_components(generator):
    found = calls.decompose(generator, num_samples=500, num_components=3)
    np.testing.assert_array_equal(found.latent_components, found.activation_components)
    np.testing.assert_array_equal(found.r2, 1.0)


def test_progress_counts_every_sample_once(generator):
    reports = []
    calls.decompose(generator, num_samples=1234, num_components=3, batch_size=100, report=reports.append)
    done = [report.done for report in reports]
    assert done == sorted(done) and done[-1] == 1234 and {report.total for report in reports} == {1234}
    assert reports[-1].note.startswith("eigenvectors") and not reports[0].note


def test_published_seeds_are_those_of_the_original():
    expected = np.random.RandomState(5).standard_normal(8).reshape(2, 4).astype(np.float32)
    np.testing.assert_array_equal(latents.from_seed(5, 4, 2), expected)
    np.testing.assert_array_equal(latents.from_seeds([5, 6], 4)[0], expected[0])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"layer": "b9.conv0"}, "--layer=b9.conv0"),
        ({"latent_space": "s"}, "--latent_space=s"),
        ({"num_samples": 2**31}, "--num_samples=2147483648: must be from 1 to 2,000,000,000"),
        ({"seed": -1}, "--seed=-1"),
        ({"until_stable": float("nan")}, "--until_stable=nan"),
        ({"memory_gb": 0.0}, "--memory_budget_gb=0.0"),
        ({"num_components": 13}, "only 12 dimensions"),
        ({"num_components": 0}, "--num_components=0"),
        ({"num_samples": 4, "num_components": 5}, "--num_samples=4"),
        ({"num_samples": -1}, "--num_samples=-1"),
        ({"batch_size": 0}, "--batch_size=0"),
        ({"label": 1}, "--label=1"),
        ({"truncation_psi": 0.0}, "--truncation_psi=0.0"),
        ({"truncation_psi": 1.5}, "--truncation_psi=1.5"),
        ({"latent_rule": "guess"}, "--latent_rule=guess: there are: auto, gradient, published"),
        ({"estimator": "guess"}, "--estimator=guess: there are: auto, exact, randomized, incremental, analytic"),
    ],
)
def test_what_cannot_be_done_is_refused_by_flag(generator, settings, message):
    with pytest.raises(InputError, match=message):
        calls.decompose(generator, **{"num_samples": 100, "num_components": 3, **settings})


def test_not_finite_activations_name_the_layer_and_the_batch(generator):
    broken = generator._replace(params=jax.tree.map(lambda x: x * jnp.nan, generator.params))
    with pytest.raises(InputError, match=r"layer b8.conv0: NaN or infinity in samples 0 to"):
        calls.decompose(broken, layer="b8.conv0", num_samples=100, num_components=2)


def test_the_file_gives_the_components_back(generator, tmp_path):
    found = calls.decompose(generator, layer="b8.conv0", num_samples=200, num_components=3, name="g")
    components.save(tmp_path / "c.npz", found)
    again = components.load(tmp_path / "c.npz")
    assert (again.source, again.spec) == (found.source, found.spec)
    assert Decomposition.of(again) == Decomposition(
        "b8.conv0", "w", num_samples=200, num_components=3, estimator="exact", latent_rule="published"
    )
    options = {name: value for name, value in found.source.options.items() if name != "latent_rule"}
    earlier = dataclasses.replace(found, source=dataclasses.replace(found.source, options=options))
    assert Decomposition.of(earlier).latent_rule == "published"
    for name, value in vars(found).items():
        np.testing.assert_array_equal(getattr(again, name), value)
    with np.load(tmp_path / "c.npz") as file:
        assert file["act_comp"].shape == (3, 1, 4, 8, 8)  # channels first, as published
        assert file["lat_comp"].shape == (3, 1, 12)


def test_components_of_other_weights_are_refused(generator):
    found = calls.decompose(generator, num_samples=100, num_components=2, name="g")
    own = zoo.fingerprint(generator)
    components.check_generator(found, "g", own)
    other = generator._replace(params=jax.tree.map(lambda x: x + 1, generator.params))
    with pytest.raises(InputError, match="made for another generator"):
        components.check_generator(found, "g", zoo.fingerprint(other))


def test_an_activation_edit_of_no_strength_is_the_plain_image(generator):
    found = calls.decompose(generator, layer="b4.conv1.style", num_samples=4000, num_components=5)
    start = edited_images.start_of_seed(generator, 3, Synthesis())
    view = edited_images.View(mode="activation")
    offset_images, plain = (
        edited_images.edited_images(generator, found, start, [[Edit(0, None, sigma)]], view) for sigma in (1.0, 0.0)
    )
    np.testing.assert_allclose(plain[0], synthesis.synthesize(generator, start.latents[None])[0], atol=1e-5)
    assert float(jnp.abs(offset_images - plain).max()) > 0.01


def test_one_program_serves_every_strength(generator):
    found = calls.decompose(generator, num_samples=100, num_components=3)
    start = edited_images.default_start(generator, found, Synthesis())
    draw = lambda k, s: edited_images.component_rows(generator, found, start, [k], [-s, s], edited_images.View())  # noqa: E731
    draw(0, 1.0)
    before = synthesis._synthesize._cache_size()
    draw(1, 2.0)
    draw(2, 0.3)
    for psi, cutoff in ((0.7, None), (0.5, None)):
        synthesis.synthesize(generator, jnp.stack(2 * [start.latents]), truncation_psi=psi, truncation_cutoff=cutoff)
    assert synthesis._synthesize._cache_size() == before


def test_random_directions_are_unit_rows_with_the_same_stdevs(generator):
    found = calls.decompose(generator, num_samples=100, num_components=3)
    random = random_directions.random_like(found, seed=0)
    np.testing.assert_allclose(np.linalg.norm(random.latent_components, axis=1), 1.0, rtol=1e-5)
    np.testing.assert_array_equal(random.latent_stdevs, found.latent_stdevs)
    assert not np.allclose(random.latent_components, found.latent_components)


def test_mixing_keeps_the_kept_layers(generator):
    """Early layers kept: the row's own early activations in every column. All kept: the
    row's image throughout.
    """
    num_layers = generator.merge().latent_shape[0]
    view = Synthesis()
    whole = edited_images.mixed_rows(generator, [1, 2], 3, (0, num_layers), view)
    np.testing.assert_allclose(whole, np.broadcast_to(whole[:, :1], whole.shape), atol=1e-5)
    early, late = (edited_images.mixed_rows(generator, [1, 2], 3, kept, view) for kept in ((0, 2), (2, num_layers)))
    np.testing.assert_array_equal(early[:, 0], whole[:, 0])
    np.testing.assert_array_equal(late[:, 0], whole[:, 0])
    none = edited_images.mixed_rows(generator, [1, 2], 3, (0, 0), view)
    np.testing.assert_allclose(none[0, 1:], none[1, 1:], atol=1e-5)
    for mixed in (early, late):
        assert np.abs(mixed[:, 1:] - whole[:, 1:]).max() > 0.01 and np.abs(mixed[:, 1:] - none[:, 1:]).max() > 0.01


def test_convolutions_of_lower_precision_find_nearly_the_same_and_belong_to_the_same_generator(generator):
    config = stylegan2.Config(**{**vars(generator.merge().config), "compute_dtype": "bfloat16"})
    abstract = jax.eval_shape(lambda: base.split(stylegan2.StyleGAN2(config, key=jax.random.key(0))))
    half = abstract._replace(params=generator.params)
    assert zoo.fingerprint(half) == zoo.fingerprint(generator)
    settings = dict(layer="b8.conv0", latent_space="z", num_samples=SAMPLES, num_components=3, seed=7)
    exact, found = (calls.decompose(one, **settings) for one in (generator, half))
    assert (exact.source.compute_dtype, found.source.compute_dtype) == ("float32", "bfloat16")
    assert 1e-5 < _angle(*(one.activation_components.reshape(3, -1) for one in (exact, found))) < 0.05
    np.testing.assert_allclose(found.activation_stdevs, exact.activation_stdevs, rtol=0.02)
