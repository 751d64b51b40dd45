"""Figures of inverted pictures: exact on a linear generator, and equal to their
definitions.
"""

from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

from ganspace_jax.generators import base, synthesis
from ganspace_jax.measures import inverted_pictures
from ganspace_jax.measures.inverted_pictures import Instruments
from ganspace_jax.measures.scorers import Scorer
from ganspace_jax.sampling import inversion, random_samples
from ganspace_jax.sampling.inversion import Inversion
from ganspace_jax.statistics import bootstrap
from tests import toy_generators

COUNT = 6


@pytest.fixture(scope="module")
def toy():
    """The linear generator, so faint that its images are within [-1, 1]."""
    network: Any = toy_generators.linear().merge()
    for part in (network.matrices, network.bias):
        part[...] = 0.03 * part[...]
    return base.split(network)


def _instruments(toy, squash=lambda x: x):
    """Returns instruments with a direction per score, and one without a name."""
    weights, jacobians = toy_generators.planted(toy)
    read = toy_generators.reader(weights)
    scorer = Scorer(
        ("a", "b", "rotation"), np.ones(3), (None,) * 3, (), lambda images: squash(np.asarray(read(images)))
    )
    rows = np.concatenate([jacobians, jacobians.sum(0, keepdims=True)])
    return Instruments(toy, scorer, 0.3 * rows, (0, 1, 2, None), lambda images: 0.0 * images, 1)


def _samples(toy, count, seed):
    at = random_samples.draw(toy, 0, count, seed=seed)
    return at.layers, np.asarray(synthesis.synthesize(toy, jnp.asarray(at.layers)))


@pytest.fixture(scope="module")
def inverted(toy):
    """Own images of the toy, inverted with a weak and with a far too strong penalty."""
    images = _samples(toy, COUNT, 3)[1]
    spec = {"latent_space": "w", "start": "mean", "num_steps_shared": 0, "num_steps": 300, "rate": 0.1}
    return [inversion.invert(toy, images, Inversion(penalty=penalty, **spec)) for penalty in (0.0, 10.0)]


def test_edits_act_on_inverted_latents_as_on_samples(toy, inverted):
    instruments = _instruments(toy)
    samples = inverted_pictures.edit(instruments, (_samples(toy, 8, 0)[0], None))
    own = inverted_pictures.edit(instruments, (inverted[0].latents, None))
    found, same = (inverted_pictures.editability(instruments, one, samples) for one in (own, samples))
    for name in ("amplitude_components", "amplitude_named", "purity"):  # Jacobians are orthonormal: purity 1
        np.testing.assert_allclose(found[name], 1.0, atol=1e-4)
        np.testing.assert_allclose(same[name], 1.0, atol=1e-4)


def test_a_direction_that_is_not_pure_keeps_its_purity(toy, inverted):
    instruments = _instruments(toy)
    mixed = instruments._replace(steps=instruments.steps[3:], wanted=(1,))
    own = inverted_pictures.edit(mixed, (inverted[0].latents, None))
    found = inverted_pictures.editability(mixed, own, own)
    np.testing.assert_allclose(found["purity"], 1 / 3, atol=1e-4)
    assert "amplitude_components" not in found


def test_latents_far_away_lose_amplitude(toy):
    """The scores saturate, as those of real images do."""
    plain, at = _instruments(toy), _samples(toy, 60, 0)[0]
    scores = plain.scorer.read(_samples(toy, 60, 0)[1])
    centre, scale = scores.mean(0), 2.0 * scores.std(0)
    instruments = _instruments(toy, squash=lambda x: np.tanh((x - centre) / scale))
    near, far = at[30:], at.mean(0) + 5.0 * (at[30:] - at.mean(0))
    samples, own, away = (inverted_pictures.edit(instruments, (one, None)) for one in (at, near, far))
    found = [inverted_pictures.editability(instruments, one, samples)["amplitude_named"] for one in (own, away)]
    np.testing.assert_allclose(found[0].value, 1.0, atol=1e-5)  # the same images
    assert found[1].high < 0.9
    reference = samples.changes[:30, :3].mean(0)
    expected = np.sum(away.changes[:, :3].mean(0) * reference) / np.sum(own.changes[:, :3].mean(0) * reference)
    np.testing.assert_allclose(found[1].value, expected, rtol=1e-6)


def test_a_penalty_that_is_too_strong_shows(toy, inverted):
    instruments = _instruments(toy)
    images = _samples(toy, COUNT, 3)[1]
    true = instruments.scorer.read(images)
    weak, strong = (inverted_pictures.recovery(instruments.scorer, one, true) for one in inverted)
    np.testing.assert_allclose([weak["r2"].value, weak["r2_apart"].value], 1.0, atol=1e-3)
    for name in ("r2", "r2_apart", "psnr_median", "psnr_low"):
        assert strong[name].high < weak[name].low, name
    assert strong["distance"].value < weak["distance"].value
    assert set(weak) == {"psnr_median", "psnr_low", "r2", "r2_apart", "distance", "within"}


def test_figures_of_recovery_are_their_definition(inverted):
    """A score with a period, a category, and images that do not show a score."""
    nan = np.nan
    true = np.array([[0, 0.1, 1.0], [1, 0.9, 2.0], [2, 0.2, nan], [0, 0.8, 3.0], [1, 0.0, 4.0], [2, 0.0, 5.0]])
    read = np.array([[0, 0.2, 1.5], [1, 0.0, 2.0], [0, 0.1, 1.0], [0, 0.9, 3.0], [1, 0.9, nan], [2, 0.0, 5.0]])
    scorer = Scorer(("kind", "hue", "rotation"), np.ones(3), (None, 1.0, None), ("kind",), lambda images: read)
    found = inverted[0]._replace(
        psnr=np.array([10.0, 20, 30, 40, 50, 60]), distance=np.array([1.0, 1, 1, 2, 2, 9]), label=np.eye(6)[[0, 1, 2, 3, 4, 4]]
    )  # fmt: skip
    own = inverted_pictures.recovery(scorer, found, true, farthest=2.0, classes=np.arange(6))
    values = {name: figure.value for name, figure in own.items()}
    expected = {
        "psnr_median": 35.0, "psnr_low": 15.0, "distance": 1.5, "within": 5 / 6, "categories": 5 / 6, "class": 5 / 6,
        "r2": 1 - 5 * 0.1**2 / (2 * 0.1**2 + 2 * 0.2**2), "r2_apart": 1 - 0.5**2 / (1.75**2 + 0.75**2 + 0.25**2 + 2.25**2),
    }  # fmt: skip
    assert values == pytest.approx(expected, abs=1e-9)
    assert own["within"].low < 5 / 6 < own["within"].high


def test_redrawing_is_the_psnr_after_two_standard_deviations(toy):
    instruments, at = _instruments(toy), _samples(toy, 3, 5)[0]
    a, bias = toy_generators.matrices(toy), np.asarray(toy.merge().bias[...], np.float64)
    sides = [np.einsum("lpd,nld->np", a, at + side * 2 * instruments.steps[0]) + bias for side in (-1, 1)]
    expected = [10 * np.log10(4 / np.square(np.clip(one, -1, 1)).mean(1)) for one in sides]  # redrawn grey
    found = inverted_pictures.edit(instruments, (at, None))
    np.testing.assert_allclose(found.redrawing, np.transpose(expected), rtol=1e-4)
    median = inverted_pictures.editability(instruments, found, found)["redrawing"].value
    np.testing.assert_allclose(median, np.median(expected), rtol=1e-4)


def test_tables_leave_out_what_is_unknown():
    known, unknown = bootstrap.Figure(0.95, 0.9, 1.0), bootstrap.Figure(np.nan, 0.0, 1.0)
    rows = {"samples": {"within": known}, "w": {"within": unknown, "seconds": inverted_pictures.known(0.1234)}}
    assert inverted_pictures.table(rows, inverted_pictures.RECOVERY).splitlines() == [
        "| | within 95 % of samples | CPU s an image |",
        "| --- | --- | --- |",
        "| samples | 0.95 (0.90 to 1.00) | |",
        "| w | | 0.12 |",
    ]
    assert inverted_pictures.as_json(rows)["w"]["within"] == {"value": None, "low": 0.0, "high": 1.0}
