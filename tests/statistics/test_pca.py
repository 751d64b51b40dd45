"""Principal components: PCA equals SVD, the sign convention, and the jackknife on planted data."""

import functools

import numpy as np
import pytest

from ganspace_jax.statistics import moments, pca

STDEVS = np.array([4.0, 2.5, 1.5, 1.0, 0.5, 0.2])


def _rotation(size, seed=0):
    return np.linalg.qr(np.random.default_rng(seed).standard_normal((size, size)))[0]


def _planted(count, seed=0):
    return np.random.default_rng(seed).standard_normal((count, len(STDEVS))) * STDEVS @ _rotation(len(STDEVS))


def _moments(samples):
    mean = samples.mean(0)
    return moments.Float64Moments(np.asarray(float(len(samples))), mean, (samples - mean).T @ (samples - mean))


def test_pca_equals_svd():
    samples = _planted(500)
    found = pca.exact(moments.covariance(_moments(samples)), 4)
    _, singular, rows = np.linalg.svd(samples - samples.mean(0), full_matrices=False)
    np.testing.assert_allclose(found.variances, singular[:4] ** 2 / 499, rtol=1e-12)
    np.testing.assert_allclose(found.directions, pca.fix_signs(rows[:4]), atol=1e-10)
    np.testing.assert_allclose(found.total_variance, samples.var(0, ddof=1).sum())


def test_lanczos_equals_the_full_decomposition(monkeypatch):
    rng = np.random.default_rng(3)
    factor = rng.standard_normal((120, 120)) * np.geomspace(1, 0.01, 120)
    matrix = factor @ factor.T
    full = pca.exact(matrix, 8)
    monkeypatch.setattr(pca, "_LANCZOS_FROM", 10)
    monkeypatch.setattr(np.linalg, "eigh", lambda *_: pytest.fail("the full decomposition was used"))
    few = pca.exact(matrix, 8)
    np.testing.assert_allclose(few.variances, full.variances, rtol=1e-10)
    np.testing.assert_allclose(few.directions, full.directions, atol=1e-7)


def test_the_largest_entry_of_every_component_is_positive():
    rows = np.random.default_rng(1).standard_normal((30, 9))
    fixed = pca.fix_signs(rows)
    assert (fixed[np.arange(30), np.abs(fixed).argmax(1)] > 0).all()
    np.testing.assert_array_equal(np.abs(fixed), np.abs(rows))
    np.testing.assert_array_equal(pca.fix_signs(-rows), fixed)


def test_the_jackknife_covers_the_truth():
    """Over many data sets, the reported errors are those that are really made."""
    truth = pca.fix_signs(_rotation(len(STDEVS)))[:3]
    angles, reported, z_scores = [], [], []
    for seed in range(60):
        groups = [_moments(part) for part in np.split(_planted(800, seed), 8)]
        total = functools.reduce(moments.merge, groups)
        found = pca.exact(moments.covariance(total), 3)
        stability = pca.jackknife(total, groups, found, slice(None))
        cosines = np.abs(np.sum(found.directions * truth, axis=1))
        angles.append(np.degrees(np.arccos(np.minimum(cosines, 1))))
        reported.append(stability.angles)
        z_scores.append((found.variances - STDEVS[:3] ** 2) / stability.variance_errors)
    made = np.sqrt(np.mean(np.square(angles), axis=0))
    said = np.sqrt(np.mean(np.square(reported), axis=0))
    np.testing.assert_allclose(said, made, rtol=0.3)
    assert 0.85 < np.mean(np.abs(z_scores) < 2.36) <= 1.0  # the 95 % interval of Student's t with 7 degrees of freedom


def test_components_that_trade_places_are_called_unstable():
    rng = np.random.default_rng(0)
    samples = rng.standard_normal((800, 4)) * np.array([3.0, 1.0, 1.0, 0.1])
    groups = [_moments(part) for part in np.split(samples, 8)]
    total = functools.reduce(moments.merge, groups)
    found = pca.exact(moments.covariance(total), 3)
    angles = pca.jackknife(total, groups, found, slice(None)).angles
    assert 3 * angles[0] < min(angles[1:])


def test_the_jackknife_of_a_large_layer_is_that_of_a_small_one(monkeypatch):
    """The short cut for large layers gives the angles and errors of the full decompositions, within a hundredth."""
    rng = np.random.default_rng(5)
    samples = rng.standard_normal((1600, 150)) * np.geomspace(3, 0.05, 150) @ _rotation(150)
    groups = [_moments(part) for part in np.split(samples, 8)]
    total = functools.reduce(moments.merge, groups)
    found = pca.exact(moments.covariance(total), 6)
    full = pca.jackknife(total, groups, found, slice(None))
    monkeypatch.setattr(pca, "_LANCZOS_FROM", 10)
    short = pca.jackknife(total, groups, found, slice(None))
    np.testing.assert_allclose(short.angles, full.angles, rtol=0.01)
    np.testing.assert_allclose(short.variance_errors, full.variance_errors, rtol=0.01)
    assert full.angles.min() > 0.5
