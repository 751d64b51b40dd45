"""The figures of the claims, on planted changes whose answers are known."""

import numpy as np
import pytest

from ganspace_jax.claims import best_directions, component_order, other_spaces, source_dependence, usable_range
from ganspace_jax.measures.scorers import Scorer

SCORER = Scorer(
    read=lambda images: np.zeros((len(images), 4)),
    names=("size", "depth", "hue", "shape"),
    scales=np.ones(4),
    periods=(None, None, 1.0, None),
    categories=("shape",),
)


def test_the_best_direction_of_each_factor_is_chosen_and_judged_on_other_images():
    """Directions 0 and 2 move one factor each, in both halves. Direction 1 is purest in
    the second half only, so that it is not chosen.
    """
    assert best_directions.factor_columns(SCORER) == [0, 1]
    changes = np.zeros((3, 40, 4))
    changes[0, :20, 0] = 1.0
    changes[0, 20:, :2] = 1.0, 0.5
    changes[2, :, :3] = 0.1, 2.0, 0.1
    changes[1, :20] = 1.0
    changes[1, 20:, 0] = 1.0
    changes[..., 3] = 1.0  # the category does not count
    figure = best_directions.mean_purity("purity", changes, SCORER)
    assert figure.value == pytest.approx(np.mean([1 / 1.25, 4 / 4.02])) and figure.low == pytest.approx(figure.value)
    assert best_directions.mean_purity("purity", changes[[0, 2]], SCORER).value == pytest.approx(figure.value)


@pytest.mark.parametrize("cycles", [1, 3, 8])
def test_a_wave_has_its_own_spatial_frequency(cycles):
    x = np.arange(16) / 16
    wave = np.cos(2 * np.pi * cycles * x)[None, None, :, None] * np.ones((1, 16, 1, 3))
    found = component_order.mean_frequency(np.concatenate([wave, wave.transpose(0, 2, 1, 3), 0 * wave]))
    np.testing.assert_allclose(found, [cycles, cycles, 0.0], atol=1e-9)


def test_a_trend_is_that_of_the_first_basis_less_that_of_the_second():
    falling = np.linspace(5.0, 1.0, 6)[:, None] * np.ones((6, 30))
    rising = falling[::-1]
    trends = [component_order._trend("", bases, 0).value for bases in ([falling], [rising], [falling, rising])]
    np.testing.assert_allclose(trends, [-1.0, 1.0, -2.0])


def test_the_share_between_groups_is_one_or_about_zero():
    random = np.random.default_rng(0)
    group = np.arange(600) % 3
    assert source_dependence.by_group(group.astype(float), group) == pytest.approx(1.0, abs=1e-6)
    noise = [source_dependence.by_group(random.standard_normal(600), group) for _ in range(40)]
    assert abs(np.mean(noise)) < 0.002  # corrected for chance; eta squared would be 2 / 599
    mixed = source_dependence.by_group(group + random.standard_normal(600), group)
    assert mixed == pytest.approx(2 / 3 / (1 + 2 / 3), abs=0.06)


def test_the_varying_share_is_that_beside_the_mean():
    effect = np.array([1.0, 3.0])
    assert source_dependence.varying(effect) == pytest.approx(1 - 4 / 5)
    assert source_dependence.varying(np.full(3, 2.0)) == pytest.approx(0.0)
    assert source_dependence.varying(np.zeros(3)) == 0.0


def test_the_usable_range_ends_where_half_of_the_images_fail():
    at = usable_range.STEPS
    limits = np.array([2.5, 100.0])  # each image fails beyond its own limit
    usable = np.stack([at <= limit for limit in limits])[:, None, :]
    whole = np.ones_like(usable)
    np.testing.assert_allclose(usable_range.usable_range(np.concatenate([usable, whole], axis=1)), [at[-1], at[-1]])
    below = np.stack([at <= 2.5, at <= 2.5])[:, None, :]
    # All images are usable at 2 and none at 3: half of them at 2.5.
    np.testing.assert_allclose(usable_range.usable_range(below), [2.5])
    np.testing.assert_allclose(usable_range.usable_range(np.zeros_like(usable)), [0.5])


def test_directions_of_pixels_are_exact_where_pixels_are_linear():
    random = np.random.default_rng(1)
    latent = random.standard_normal((400, 24))
    axes = np.linalg.qr(random.standard_normal((24, 24)))[0] * np.linspace(3.0, 0.5, 24)
    rows, r2 = other_spaces.latent_rows(latent, latent @ axes + 5.0)
    np.testing.assert_allclose(r2, 1.0, atol=1e-9)
    first, moved = np.linalg.eigh(np.cov((latent @ axes).T))[1][:, -1], rows[0] @ axes
    assert abs(moved @ first) / np.linalg.norm(moved) > 0.95 and len(rows) == 20
    noisy = latent @ axes + 5.0 * random.standard_normal((400, 24))
    assert other_spaces.latent_rows(latent, noisy)[1].max() < 0.9
