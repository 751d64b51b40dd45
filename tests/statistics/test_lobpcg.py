"""The block method finds the leading subspace of known matrices from products alone."""

import numpy as np
import pytest

from ganspace_jax.statistics import lobpcg


def _matrix(variances):
    rotation = np.linalg.qr(np.random.default_rng(1).standard_normal((len(variances), len(variances))))[0]
    return (rotation * variances) @ rotation.T, rotation


def _angle(a, b):
    return np.arcsin(min(1.0, np.linalg.norm(b - a @ (a.T @ b), ord=2)))


@pytest.mark.parametrize("decay", [0.5, 1.0, 2.0])
def test_it_finds_the_leading_subspace_in_a_few_passes(decay):
    """The variances fall at three rates. The estimate bounds the true error."""
    matrix, rotation = _matrix(np.arange(1.0, 301.0) ** -decay)
    calls, errors = [], []

    def apply(block):
        calls.append(block)
        np.testing.assert_allclose(block.T @ block, np.eye(block.shape[1]), atol=1e-10)
        return matrix @ block

    subspace = lobpcg.leading_subspace(apply, lobpcg.random_block(300, 22), 12, on_pass=errors.append)
    np.testing.assert_allclose(subspace.basis.T @ subspace.basis, np.eye(22), atol=1e-10)
    assert subspace.passes == len(calls) == len(errors) <= 12
    assert _angle(rotation[:, :12], subspace.basis[:, :12]) <= subspace.error == errors[-1] < 1e-4


def test_the_leading_directions_come_first():
    matrix, rotation = _matrix(np.geomspace(1.0, 1e-4, 60))
    subspace = lobpcg.leading_subspace(lambda block: matrix @ block, lobpcg.random_block(60, 10), 5)
    np.testing.assert_allclose(np.abs(np.sum(subspace.basis[:, :5] * rotation[:, :5], axis=0)), 1.0, atol=1e-7)


def test_directions_without_variance_cause_no_more_passes():
    """The layer has rank 6 and 194 variances of rounding; 10 components are sought."""
    matrix, rotation = _matrix(np.concatenate([np.geomspace(1, 0.1, 6), np.full(194, 1e-9)]))
    subspace = lobpcg.leading_subspace(lambda block: matrix @ block, lobpcg.random_block(200, 20), 10)
    assert subspace.passes < 6
    assert _angle(rotation[:, :6], subspace.basis[:, :6]) < 1e-4


def test_a_block_as_wide_as_the_space_needs_one_pass():
    matrix, rotation = _matrix(np.geomspace(1, 0.1, 8))
    subspace = lobpcg.leading_subspace(lambda block: matrix @ block, lobpcg.random_block(8, 14), 4)
    assert subspace.passes == 1 and subspace.error == 0.0
    assert _angle(rotation[:, :4], subspace.basis[:, :4]) < 1e-7


def test_it_stops_after_max_passes_and_returns_the_error():
    matrix, _ = _matrix(np.ones(200))
    subspace = lobpcg.leading_subspace(
        lambda block: (matrix + np.diag(np.arange(200) * 1e-3)) @ block,
        lobpcg.random_block(200, 15),
        5,
        max_passes=3,
    )
    assert subspace.passes == 3 and subspace.error > 1e-4


@pytest.mark.parametrize(("decay", "angle"), [(2.0, 3e-4), (3.0, 2e-2)])
def test_it_stops_at_the_rounding_of_float32_products(decay, angle):
    """The last of 80 components has 2e-4 or 2e-6 of the first one's variance."""
    matrix, rotation = _matrix(np.arange(1.0, 601.0) ** -decay)
    apply = lambda block: np.float64(np.float32(matrix) @ np.float32(block))  # noqa: E731
    subspace = lobpcg.leading_subspace(apply, lobpcg.random_block(600, 130), 80)
    assert subspace.passes <= 6
    assert _angle(rotation[:, :80], subspace.basis[:, :80]) < angle
    assert angle / 10 < subspace.error < angle


def test_a_converged_start_needs_no_pass():
    """The image of the start is given, and the matrix has a lower rank than the block.

    A tilted start needs a pass.
    """
    matrix, rotation = _matrix(np.concatenate([np.geomspace(1, 0.01, 12), np.zeros(88)]))
    calls, counts = [], []

    def apply(block):
        calls.append(block)
        return matrix @ block

    for start in (rotation[:, :15], np.linalg.qr(rotation[:, :15] + 0.01 * rotation[:, 15:30])[0]):
        subspace = lobpcg.leading_subspace(apply, start, 10, image=matrix @ start)
        counts.append(len(calls))
        assert subspace.passes == len(calls)
        assert _angle(rotation[:, :10], subspace.basis[:, :10]) <= 1e-4
    assert counts[0] == 0 < counts[1]


def test_directions_just_outside_of_the_block_are_not_overlooked():
    """The first block is nearly invariant, but lacks one of the leading directions."""
    matrix, rotation = _matrix(np.geomspace(1, 0.5, 50))
    start = np.delete(rotation[:, :14], 2, axis=1)
    start = np.linalg.qr(start + 1e-3 * rotation[:, [2]])[0]
    subspace = lobpcg.leading_subspace(lambda block: matrix @ block, start, 8, image=matrix @ start)
    assert subspace.passes and _angle(rotation[:, :8], subspace.basis[:, :8]) < 2e-4
