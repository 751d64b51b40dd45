"""Local bases: the directions in which a layer changes most at one point, and their
average over points.

Choi et al., "Do Not Escape From the Manifold: Discovering the Local Coordinates on the
Latent Space of GANs", ICLR 2022, section 3. J is the Jacobian of a layer with respect
to the latent that edits move. Its leading right singular vectors v_k, with singular
values s_k, are the local basis at a point. For the layer w, as in the paper, J is the
Jacobian of w with respect to z. The basis is then its left singular vectors, in w.

The average over points is the leading eigenvectors of E[sum_k s_k^2 v_k v_k^T].
Subspace iteration computes the vectors with products J V and J^T Y, so J is never
formed.
"""

import itertools
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from ganspace_jax.directions.components import Components
from ganspace_jax.errors import InputError
from ganspace_jax.generators.base import MAPPED_LATENT, Generator
from ganspace_jax.methods import direction_spec
from ganspace_jax.methods.direction_spec import DirectionSpec, Layer
from ganspace_jax.run import Progress, Run
from ganspace_jax.sampling import latent_jacobians, scored_images
from ganspace_jax.sampling.latent_jacobians import Points, Target
from ganspace_jax.sampling.sample_groups import NUM_GROUPS
from ganspace_jax.shapes import Float
from ganspace_jax.statistics import jackknife, quadratic_forms
from ganspace_jax.statistics.pca import PrincipalComponents

_OVERSAMPLING = 10  # directions
_MOST_STEPS = 40
_TOLERANCE = 1e-4  # of the singular values' relative change in one step


class LocalBases(NamedTuple):
    """Local bases at points.

    Attributes:
        directions: orthonormal rows of each point, the strongest first.
        strengths: singular values.
    """

    directions: Float[np.ndarray, "n c d"]
    strengths: Float[np.ndarray, "n c"]


def find(generator: Generator, spec: DirectionSpec, run: Run = Run(), *, name: str = "") -> Components:
    """Finds the average of the local bases of a layer.

    In a layer other than the latent, the component is the mean of J u over points. r2
    is the share of the squared changes J u that this mean explains.

    Args:
        generator: the generator.
        spec: resolved spec; one of its images is one point.
        run: tangents per step, progress and stopping.
        name: name of the generator in the components file.

    Raises:
        InputError: if the directions are of another space than edits move, or if a
            Jacobian is not finite.
        Interrupted: if run.should_stop returned True.
    """
    if spec.latent_space != generator.latent_space:
        raise InputError(
            f"--latent_space={spec.latent_space}: --method=local_basis finds directions of {generator.latent_space}; "
            "leave the flag out"
        )
    at, target = _points(generator, spec, run)
    bases = measure(generator, spec, run)
    rows, angles = average(bases, spec.num_components)
    layer, figures = Layer(rows, np.ones(len(rows)), None), {"stability": angles}
    if not spec.is_latent:
        deviations = quadratic_forms.stdevs(rows, direction_spec.latent_distribution(generator, spec).covariance)
        layer, figures["r2"] = _in_layer(generator, target, at, rows, deviations)
    return direction_spec.of_layer(
        generator, spec, layer, rows, figures=figures, num_samples=spec.num_images, name=name
    )


def measure(generator: Generator, spec: DirectionSpec, run: Run = Run()) -> LocalBases:
    """Returns the local bases at random points.

    Args:
        generator: the generator.
        spec: resolved spec: layer, number of directions and of points.
        run: tangents per step, progress and stopping.

    Raises:
        InputError: if a Jacobian is not finite.
        Interrupted: if run.should_stop returned True.
    """
    at, target = _points(generator, spec, run)
    found: list[tuple[np.ndarray, np.ndarray]] = []
    for index, latent in enumerate(at.latents):
        weights = None if at.weights is None else jnp.asarray(at.weights[index])
        found.append(_basis(target, generator.params, (jnp.asarray(latent), weights), spec.num_components))
        if not np.isfinite(found[-1][1]).all():
            raise InputError(f"layer {spec.layer}: the Jacobian at point {index} contains NaN or infinity")
        run.report(Progress(index + 1, len(at.latents), "point", "local bases"))
        scored_images.check_stop(run)
    return LocalBases(*(np.stack(part) for part in zip(*found, strict=True)))


def average(bases: LocalBases, num_directions: int) -> tuple[Float[np.ndarray, "k d"], Float[np.ndarray, "k"]]:
    """Returns the average directions, the strongest first, and their jackknife standard
    errors over points, in degrees.
    """
    weighted = bases.strengths[:, :, None] * bases.directions
    bounds = np.arange(NUM_GROUPS + 1) * len(weighted) // NUM_GROUPS
    rows = [weighted[a:b].reshape(-1, weighted.shape[2]) for a, b in itertools.pairwise(bounds)]
    sums, counts = np.stack([own.T @ own for own in rows]), np.diff(bounds)

    def leading(kept: np.ndarray) -> PrincipalComponents:
        gram = sums[kept].sum(0) / counts[kept].sum()
        return quadratic_forms.leading(gram, np.eye(len(gram)), num_directions)

    whole = leading(np.arange(NUM_GROUPS))
    replicates = [leading(np.delete(np.arange(NUM_GROUPS), group)) for group in range(NUM_GROUPS)]
    return whole.directions, jackknife.stability(whole, replicates).angles


def principal_angles(a: Float[np.ndarray, "j d"], b: Float[np.ndarray, "k d"]) -> Float[np.ndarray, "m"]:
    """Returns the principal angles between the spans of orthonormal rows, in degrees,
    the smallest first.
    """
    cosines = np.linalg.svd(a @ b.T, compute_uv=False)
    return np.degrees(np.arccos(np.clip(cosines, 0.0, 1.0)))


def angles_between_points(bases: LocalBases, num_directions: int) -> Float[np.ndarray, "n n"]:
    """Returns the root mean square of the principal angles between each two points, in
    degrees.

    Near 0 one global basis holds at all points. Between random subspaces of k of d
    dimensions the mean squared cosine is k / d.

    Args:
        bases: local bases.
        num_directions: leading directions of each that are compared.
    """
    rows = bases.directions[:, :num_directions]
    angles = [[principal_angles(a, b) for b in rows] for a in rows]
    return np.sqrt(np.mean(np.square(angles), axis=2))


def _points(generator: Generator, spec: DirectionSpec, run: Run) -> tuple[Points, Target]:
    at = latent_jacobians.draw(generator, spec, spec.num_images, spec.seed + 1, in_z=spec.layer == MAPPED_LATENT)
    return at, latent_jacobians.target(generator, spec, run, str(spec.layer))


def _basis(target: Target, params: Any, point: tuple[Any, Any], count: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns the leading singular vectors in the latent that edits move, and their
    singular values, by subspace iteration.
    """
    size = len(point[0])
    start = np.random.default_rng(0).standard_normal((size, min(size, 2 * count + _OVERSAMPLING)))
    rows, last = np.linalg.qr(start)[0].T, np.zeros(count)
    for _ in range(_MOST_STEPS):
        pushed = latent_jacobians.push(target, params, *point, jnp.asarray(rows, jnp.float32))
        turn, values, _ = np.linalg.svd(np.asarray(pushed, np.float64) @ np.asarray(pushed, np.float64).T)
        strengths = np.sqrt(values[:count])
        if len(rows) == size or np.abs(strengths - last).max() <= _TOLERANCE * strengths[0]:
            break
        last = strengths
        pulled = np.asarray(latent_jacobians.pull(target, params, *point, pushed), np.float64)
        rows = np.linalg.qr(pulled.T)[0].T
    right = turn.T[:count] @ rows
    if target.layer != MAPPED_LATENT:
        return right, strengths
    left = turn.T[:count] @ np.asarray(pushed, np.float64)
    return np.linalg.qr(left.T)[0].T, strengths


def _in_layer(
    generator: Generator, target: Target, at: Points, rows: Float[np.ndarray, "k l"], deviations: Float[np.ndarray, "k"]
) -> tuple[Layer, Float[np.ndarray, "k"]]:
    """Returns the mean changes of the layer, and the share of the squared changes that
    they explain.
    """
    mean, square = 0.0, 0.0
    for index, latent in enumerate(at.latents):
        weights = None if at.weights is None else jnp.asarray(at.weights[index])
        tangents = jnp.asarray(rows, jnp.float32)
        moved = latent_jacobians.push(target, generator.params, jnp.asarray(latent), weights, tangents)
        moved = np.asarray(moved, np.float64) / len(at.latents)
        mean, square = mean + moved, square + np.sum(np.square(moved), axis=1) * len(at.latents)
    lengths = np.linalg.norm(mean, axis=1)
    share = np.square(lengths) / np.maximum(square, np.finfo(np.float32).tiny)
    unit = mean / np.where(lengths > 0, lengths, 1.0)[:, None]  # not quadratic_forms.unit: the latent has the sign
    return Layer(unit, lengths * deviations, None), share
