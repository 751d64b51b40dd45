"""The block method finds the leading subspace of known matrices, from their products alone."""

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
    """However slowly the variances fall; and its own estimate of the error is not below the real one."""
    matrix, rotation = _matrix(np.arange(1.0, 301.0) ** -decay)
    calls, errors = [], []

    def apply(block):
        calls.append(block)
        np.testing.assert_allclose(block.T @ block, np.eye(block.shape[1]), atol=1e-10)
        return matrix @ block

    found = lobpcg.leading_subspace(apply, lobpcg.random_block(300, 22), 12, on_pass=errors.append)
    np.testing.assert_allclose(found.basis.T @ found.basis, np.eye(22), atol=1e-10)
    assert found.passes == len(calls) == len(errors) <= 12
    assert _angle(rotation[:, :12], found.basis[:, :12]) <= found.error == errors[-1] < 1e-4


def test_the_leading_directions_come_first():
    matrix, rotation = _matrix(np.geomspace(1.0, 1e-4, 60))
    found = lobpcg.leading_subspace(lambda block: matrix @ block, lobpcg.random_block(60, 10), 5)
    np.testing.assert_allclose(np.abs(np.sum(found.basis[:, :5] * rotation[:, :5], axis=0)), 1.0, atol=1e-7)


def test_directions_without_variance_do_not_keep_it_going():
    """A layer of rank 6 of which 10 components are asked for, as rounding shows it."""
    matrix, rotation = _matrix(np.concatenate([np.geomspace(1, 0.1, 6), np.full(194, 1e-9)]))
    found = lobpcg.leading_subspace(lambda block: matrix @ block, lobpcg.random_block(200, 20), 10)
    assert found.passes < 6
    assert _angle(rotation[:, :6], found.basis[:, :6]) < 1e-4


def test_a_block_as_wide_as_the_space_needs_one_pass():
    matrix, rotation = _matrix(np.geomspace(1, 0.1, 8))
    found = lobpcg.leading_subspace(lambda block: matrix @ block, lobpcg.random_block(8, 14), 4)
    assert found.passes == 1 and found.error == 0.0
    assert _angle(rotation[:, :4], found.basis[:, :4]) < 1e-7


def test_it_stops_at_the_bound_and_says_how_far_it_was():
    matrix, _ = _matrix(np.ones(200))
    found = lobpcg.leading_subspace(
        lambda block: (matrix + np.diag(np.arange(200) * 1e-3)) @ block,
        lobpcg.random_block(200, 15),
        5,
        max_passes=3,
    )
    assert found.passes == 3 and found.error > 1e-4


@pytest.mark.parametrize(("decay", "off"), [(2.0, 3e-4), (3.0, 2e-2)])
def test_what_rounding_hides_is_not_sought_for_long(decay, off):
    """The products of a sweep are in float32; the last of 80 components has a variance of 2e-4 or 2e-6 of the first."""
    matrix, rotation = _matrix(np.arange(1.0, 601.0) ** -decay)
    apply = lambda block: np.float64(np.float32(matrix) @ np.float32(block))  # noqa: E731
    found = lobpcg.leading_subspace(apply, lobpcg.random_block(600, 130), 80)
    assert found.passes <= 6
    assert _angle(rotation[:, :80], found.basis[:, :80]) < off
    assert off / 10 < found.error < off  # and it says so


def test_a_start_that_is_good_enough_needs_no_pass():
    """Where its image is known, and the matrix has no more than the block's rank; a tilted start needs one."""
    matrix, rotation = _matrix(np.concatenate([np.geomspace(1, 0.01, 12), np.zeros(88)]))
    calls, counts = [], []

    def apply(block):
        calls.append(block)
        return matrix @ block

    for start in (rotation[:, :15], np.linalg.qr(rotation[:, :15] + 0.01 * rotation[:, 15:30])[0]):
        found = lobpcg.leading_subspace(apply, start, 10, image=matrix @ start)
        counts.append(len(calls))
        assert found.passes == len(calls)
        assert _angle(rotation[:, :10], found.basis[:, :10]) <= 1e-4
    assert counts[0] == 0 < counts[1]


def test_directions_just_outside_of_the_block_are_not_overlooked():
    """A block that is nearly invariant, but lacks one of the leading directions."""
    matrix, rotation = _matrix(np.geomspace(1, 0.5, 50))
    start = np.delete(rotation[:, :14], 2, axis=1)
    start = np.linalg.qr(start + 1e-3 * rotation[:, [2]])[0]
    found = lobpcg.leading_subspace(lambda block: matrix @ block, start, 8, image=matrix @ start)
    assert found.passes and _angle(rotation[:, :8], found.basis[:, :8]) < 2e-4
