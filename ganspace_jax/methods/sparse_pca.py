"""Sparse principal components of a layer: directions with few coordinates.

Zou, Hastie and Tibshirani, "Sparse Principal Component Analysis", 2006; in the form of
Mairal et al., "Online Dictionary Learning for Sparse Coding", ICML 2009, section 5.3:

    minimise 1/2 |R - U V|^2 + sum_k a_k |V_k|_1  over |columns of U| <= 1.

The objective depends on the samples by their covariance C alone. So R has the rows
sigma_j v_j of principal components, R^T R = C, in place of the samples. The penalty of
row k is a_k = sparsity sigma_k / sqrt(d). Coordinate descent begins at the principal
components.
"""

import numpy as np

from ganspace_jax.directions.components import Components
from ganspace_jax.errors import InputError
from ganspace_jax.generators.base import Generator
from ganspace_jax.methods import direction_spec
from ganspace_jax.methods.direction_spec import DirectionSpec, Layer
from ganspace_jax.run import Run
from ganspace_jax.sampling import projections
from ganspace_jax.shapes import Float
from ganspace_jax.statistics import quadratic_forms

_MOST_STEPS = 2000
_TOLERANCE = 1e-8  # of the objective's relative change in one step


def find(generator: Generator, spec: DirectionSpec, run: Run, principal: Components, *, name: str = "") -> Components:
    """Finds the sparse principal components of a layer.

    `variance_ratio` is the share of the layer's variance along a direction. These
    directions are not orthogonal, so shares overlap. Directions in z are the
    least-squares directions of the coordinates.

    Args:
        generator: the generator.
        spec: resolved spec.
        run: samples per step, progress and stopping.
        principal: principal components of the layer, at least as many as are wanted.
        name: name of the generator in the components file.

    Raises:
        InputError: if a component has no coordinates, because of the sparsity.
        Interrupted: if run.should_stop returned True.
    """
    axes = principal.activation_components.reshape(len(principal), -1).astype(np.float64)
    mean = np.asarray(principal.activation_mean, np.float64).reshape(-1)
    stdevs, count = principal.activation_stdevs.astype(np.float64), spec.num_components
    factor = stdevs[:, None] * axes
    loadings = fit(factor, count, spec.sparsity * stdevs[:count] / np.sqrt(axes.shape[1]))
    if empty := np.flatnonzero(~loadings.any(1)).tolist():
        raise InputError(
            f"--sparsity={spec.sparsity}: leaves no coordinates in {len(empty)} of {count} components; give less"
        )
    rows = quadratic_forms.unit(loadings)
    variances = np.sum(np.square(factor @ rows.T), axis=0)
    order = np.argsort(-variances)
    rows, variances = rows[order], variances[order]
    total = stdevs[0] ** 2 / principal.variance_ratio[0]
    in_latent = rows[:, :0]
    if not spec.is_latent:
        at = projections.measure(generator, spec, rows, mean, num_samples=spec.num_samples, seed=spec.seed, run=run)
        in_latent = np.linalg.lstsq(at.coordinates, at.latents - at.latents.mean(0), rcond=None)[0]
    return direction_spec.of_layer(
        generator, spec, Layer(rows, np.sqrt(variances), mean), in_latent,
        figures={"variance_ratio": variances / total}, num_samples=spec.num_samples, name=name,
    )  # fmt: skip


def fit(factor: Float[np.ndarray, "n d"], count: int, penalties: Float[np.ndarray, "c"]) -> Float[np.ndarray, "c d"]:
    """Returns the sparse rows V that minimise the objective, from the leading singular
    vectors on.

    Args:
        factor: samples R, or rows with the same R^T R.
        count: number of rows c.
        penalties: penalty of each row.
    """
    left, values, right = np.linalg.svd(factor, full_matrices=False)
    codes, loadings = left[:, :count], values[:count, None] * right[:count]
    last = np.inf
    for _ in range(_MOST_STEPS):
        loadings = _update_loadings(factor, codes, loadings, penalties)
        codes = _update_codes(factor, codes, loadings)
        missed = factor - codes @ loadings
        objective = 0.5 * np.sum(np.square(missed)) + np.sum(penalties @ np.abs(loadings))
        if last - objective <= _TOLERANCE * objective:
            break
        last = objective
    return loadings


def _update_loadings(factor: np.ndarray, codes: np.ndarray, loadings: np.ndarray, penalties: np.ndarray) -> np.ndarray:
    """Returns the loadings after one pass of coordinate descent."""
    gram, target, loadings = codes.T @ codes, codes.T @ factor, loadings.copy()
    for k in np.flatnonzero(np.diag(gram) > 0):
        wanted = target[k] - gram[k] @ loadings + gram[k, k] * loadings[k]
        loadings[k] = np.sign(wanted) * np.maximum(np.abs(wanted) - penalties[k], 0.0) / gram[k, k]
    return loadings


def _update_codes(factor: np.ndarray, codes: np.ndarray, loadings: np.ndarray) -> np.ndarray:
    """Returns the codes after one pass; each column is the best one of length at most
    1.
    """
    gram, target, codes = loadings @ loadings.T, factor @ loadings.T, codes.copy()
    for k in np.flatnonzero(np.diag(gram) > 0):
        best = codes[:, k] + (target[:, k] - codes @ gram[:, k]) / gram[k, k]
        codes[:, k] = best / max(1.0, float(np.linalg.norm(best)))
    return codes
