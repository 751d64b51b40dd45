"""The jackknife's standard errors on data whose components are planted."""

import functools

import numpy as np

from ganspace_jax.statistics import jackknife, moments, pca

STDEVS = np.array([4.0, 2.5, 1.5, 1.0, 0.5, 0.2])


def _rotation(size, seed=0):
    return np.linalg.qr(np.random.default_rng(seed).standard_normal((size, size)))[0]


def _planted(count, seed=0):
    return np.random.default_rng(seed).standard_normal((count, len(STDEVS))) * STDEVS @ _rotation(len(STDEVS))


def _grouped(samples):
    """Returns the moments of all samples, and the moments of eight groups."""
    groups = []
    for part in np.split(samples, 8):
        centred = part - part.mean(0)
        groups.append(moments.Float64Moments(np.asarray(float(len(part))), part.mean(0), centred.T @ centred))
    return functools.reduce(moments.merge, groups), groups


def test_standard_errors_equal_the_errors_over_many_data_sets():
    truth = pca.fix_signs(_rotation(len(STDEVS)))[:3]
    angles, reported, z_scores = [], [], []
    for seed in range(60):
        total, groups = _grouped(_planted(800, seed))
        components = pca.exact(moments.covariance(total), 3)
        stability = jackknife.jackknife(total, groups, components, slice(None))
        cosines = np.abs(np.sum(components.directions * truth, axis=1))
        angles.append(np.degrees(np.arccos(np.minimum(cosines, 1))))
        reported.append(stability.angles)
        z_scores.append((components.variances - STDEVS[:3] ** 2) / stability.variance_errors)
    true_error = np.sqrt(np.mean(np.square(angles), axis=0))
    mean_report = np.sqrt(np.mean(np.square(reported), axis=0))
    np.testing.assert_allclose(mean_report, true_error, rtol=0.3)
    assert 0.85 < np.mean(np.abs(z_scores) < 2.36) <= 1.0  # the 95 % interval of Student's t with 7 degrees of freedom


def test_replicates_are_components_without_one_group():
    """The block selects three of six dimensions; NumPy computes every replicate."""
    samples, block = _planted(400), slice(2, 5)
    total, groups = _grouped(samples)
    components = pca.exact(np.cov(samples[:, block].T), 2)
    replicates = [
        pca.exact(np.cov(np.delete(samples, np.s_[start : start + 50], axis=0)[:, block].T), 2)
        for start in range(0, 400, 50)
    ]
    variances = np.array([replicate.variances for replicate in replicates])
    cosines = np.array([np.sum(replicate.directions * components.directions, 1) for replicate in replicates])
    stability = jackknife.jackknife(total, groups, components, block)
    np.testing.assert_allclose(stability.variance_errors, np.sqrt(7 * variances.var(0)), rtol=1e-8)
    squared_angles = np.square(np.degrees(np.arccos(np.abs(cosines))))
    np.testing.assert_allclose(stability.angles, np.sqrt(7 / 8 * squared_angles.sum(0)), rtol=1e-4)


def test_the_signs_of_replicates_do_not_matter():
    components = pca.PrincipalComponents(np.eye(2, 3), np.array([2.0, 1.0]), 3.0)
    turned = [components._replace(directions=sign * components.directions) for sign in (1, -1, -1)]
    np.testing.assert_array_equal(jackknife.stability(components, turned).angles, 0.0)


def test_angles_are_at_most_90_degrees():
    """Eight replicates at a right angle add up to 90 sqrt(7) degrees."""
    components = pca.PrincipalComponents(np.eye(1, 2), np.ones(1), 1.0)
    orthogonal = components._replace(directions=np.array([[0.0, 1.0]]))
    np.testing.assert_array_equal(jackknife.stability(components, [orthogonal] * 8).angles, 90.0)


def test_components_that_trade_places_are_unstable():
    rng = np.random.default_rng(0)
    total, groups = _grouped(rng.standard_normal((800, 4)) * np.array([3.0, 1.0, 1.0, 0.1]))
    components = pca.exact(moments.covariance(total), 3)
    angles = jackknife.jackknife(total, groups, components, slice(None)).angles
    assert 3 * angles[0] < min(angles[1:])


def test_subspace_iterations_equal_full_decompositions(monkeypatch):
    """Large layers need one decomposition, not nine. Results agree within 0.01."""
    rng = np.random.default_rng(5)
    total, groups = _grouped(rng.standard_normal((1600, 150)) * np.geomspace(3, 0.05, 150) @ _rotation(150))
    components = pca.exact(moments.covariance(total), 6)
    full = jackknife.jackknife(total, groups, components, slice(None))
    decompositions = []
    monkeypatch.setattr(pca, "_LANCZOS_FROM", 10)
    monkeypatch.setattr(jackknife, "exact", lambda *args: decompositions.append(args) or pca.exact(*args))
    iterated = jackknife.jackknife(total, groups, components, slice(None))
    assert len(decompositions) == 1
    np.testing.assert_allclose(iterated.angles, full.angles, rtol=0.01)
    np.testing.assert_allclose(iterated.variance_errors, full.variance_errors, rtol=0.01)
    assert full.angles.min() > 0.5
