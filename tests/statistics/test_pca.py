"""Principal components: PCA equals SVD, and signs follow the convention."""

import numpy as np
import pytest

from ganspace_jax.statistics import pca


def test_pca_equals_svd():
    samples = np.random.default_rng(0).standard_normal((500, 6)) * np.array([4.0, 2.5, 1.5, 1.0, 0.5, 0.2])
    components = pca.exact(np.cov(samples.T), 4)
    _, singular_values, rows = np.linalg.svd(samples - samples.mean(0), full_matrices=False)
    np.testing.assert_allclose(components.variances, singular_values[:4] ** 2 / 499, rtol=1e-12)
    np.testing.assert_allclose(components.directions, pca.fix_signs(rows[:4]), atol=1e-10)
    np.testing.assert_allclose(components.total_variance, samples.var(0, ddof=1).sum())


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


def test_lanczos_is_for_few_components_of_a_large_matrix():
    """ARPACK needs fewer components than dimensions, and is slow for many of them."""
    assert pca.uses_lanczos(4000, 20)
    assert not pca.uses_lanczos(4000, 1000)
    assert not pca.uses_lanczos(500, 20)


def test_components_of_a_factor_equal_components_of_its_covariance():
    factor = np.random.default_rng(0).standard_normal((9, 4))
    components, whole = pca.from_factor(factor, 4), pca.exact(factor @ factor.T, 4)
    np.testing.assert_allclose(components.variances, whole.variances, rtol=1e-10)
    np.testing.assert_allclose(components.directions, whole.directions, atol=1e-10)
    np.testing.assert_allclose(components.total_variance, np.trace(factor @ factor.T))


def test_components_beyond_the_rank_complete_an_orthonormal_basis():
    factor = np.random.default_rng(0).standard_normal((9, 4))
    components, leading = pca.from_factor(factor, 7), pca.from_factor(factor, 4)
    np.testing.assert_allclose(components.directions @ components.directions.T, np.eye(7), atol=1e-12)
    np.testing.assert_allclose(components.directions[:4], leading.directions, atol=1e-12)
    np.testing.assert_allclose(components.variances[:4], leading.variances, rtol=1e-12)
    np.testing.assert_array_equal(components.variances[4:], 0.0)


def test_the_largest_entry_of_every_component_is_positive():
    rows = np.random.default_rng(1).standard_normal((30, 9))
    fixed = pca.fix_signs(rows)
    assert (fixed[np.arange(30), np.abs(fixed).argmax(1)] > 0).all()
    np.testing.assert_array_equal(np.abs(fixed), np.abs(rows))
    np.testing.assert_array_equal(pca.fix_signs(-rows), fixed)
