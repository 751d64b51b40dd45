"""Question: why not principal components of z, and why not of pixels?

z is drawn from a distribution without preferred directions, so that its components are
those of the sampling noise. Pixels have strong components, but a latent must move along
them: each gets a direction of the latent by least squares, as GANSpace does for layers.
"""

import numpy as np

from ganspace_jax.claims import best_directions, steps
from ganspace_jax.claims.findings import Figure, Finding, Verdict
from ganspace_jax.claims.subjects import NUM_COMPONENTS, Subject, Subjects
from ganspace_jax.measures import purity
from ganspace_jax.methods import attributes
from ganspace_jax.run import Run
from ganspace_jax.sampling import random_samples, scored_images
from ganspace_jax.shapes import Float

QUESTION = "Would principal components of z, or of pixels, do as well as those of w?"
_NUM_SAMPLES = 20_000  # of z and w
_NUM_PIXELS = 4_000  # images


def find(subjects: Subjects, *, num_images: int = 256, seed: int = 0, run: Run = Run()) -> Finding:
    """Returns the answer for stylegan2-scenes.

    Args:
        subjects: the generators.
        num_images: number of images that are moved; one half chooses and one measures.
        seed: seed of the images.
        run: progress and stopping.

    Raises:
        Interrupted: if run.should_stop returned True.
    """
    style, big = subjects
    at = random_samples.draw(style.generator, 0, _NUM_PIXELS, seed=seed + 1)
    made = np.concatenate(list(scored_images.images(style.generator, at.layers, at.weights, run)))
    rows, r2 = latent_rows(at.latent, made.reshape(len(made), -1))
    z = random_samples.draw(big.generator, 0, _NUM_SAMPLES, seed=seed).latent
    w = random_samples.draw(style.generator, 0, _NUM_SAMPLES, seed=seed).latent
    bases = {
        "components of w": style.components.latent_components.astype(np.float64),
        "components of pixels": rows,
        "random directions": attributes.random(NUM_COMPONENTS, style.prior.covariance, seed),
    }
    purities = [
        best_directions.mean_purity(
            f"mean purity: {name}", _changes(style, basis, num_images, seed, run), style.scorer, seed
        )
        for name, basis in bases.items()
    ]
    figures = [
        Figure("z of biggan-deep-scenes: variance of v0 over the mean variance", _excess(z)),
        Figure(
            "z of biggan-deep-scenes: the same for independent noise of this size", _noise(len(z), z.shape[1], seed)
        ),
        Figure("w of stylegan2-scenes: variance of v0 over the mean variance", _excess(w)),
        Figure("pixels: mean r2 of the components' latent directions", float(r2.mean())),
        *purities,
    ]
    own, pixels, _ = purities
    is_purer, is_worse = pixels.low > own.high, pixels.high < own.low
    verdict: Verdict = "no" if is_worse else "partly"  # those of z never do
    better = "purer" if is_purer else "less pure" if is_worse else "not clearly purer or less pure"
    answer = (
        f"Components of z are those of noise: the first has {_excess(z):.2f} times the mean variance, and noise alone gives "
        f"{_noise(len(z), z.shape[1], seed):.2f}. Components of pixels are {better} than those of w: {pixels.value:.2f} "
        f"against {own.value:.2f}. A latent follows them with a mean r2 of {r2.mean():.2f}."
    )
    return Finding(QUESTION, verdict, answer, figures)


def latent_rows(
    latent: Float[np.ndarray, "n l"], pixels: Float[np.ndarray, "n p"]
) -> tuple[Float[np.ndarray, "k l"], Float[np.ndarray, "k"]]:
    """Returns the latent direction of each principal component of pixels, by least
    squares, and the share of the component's variance that the latent predicts.
    """
    away = pixels - pixels.mean(0)
    _, vectors = np.linalg.eigh(away.T.astype(np.float64) @ away / len(away))
    coordinates = away @ vectors[:, ::-1][:, :NUM_COMPONENTS]
    known = np.column_stack([latent, np.ones(len(latent))]).astype(np.float64)
    predicted = known @ np.linalg.lstsq(known, coordinates, rcond=None)[0]
    rows = np.linalg.lstsq(coordinates, known[:, :-1] - latent.mean(0), rcond=None)[0]
    return rows, predicted.var(0) / coordinates.var(0)


def _changes(
    subject: Subject, rows: Float[np.ndarray, "k l"], count: int, seed: int, run: Run
) -> Float[np.ndarray, "k n f"]:
    """Returns the changes of all values for one standard deviation both ways."""
    at, shape = steps.draw(subject, count, seed), subject.generator.latent_shape
    by_layer = attributes.layer_rows(attributes.in_deviations(rows, subject.prior.covariance), (0, shape[0]), *shape)
    return np.stack([
        purity.measure(subject.generator, subject.scorer, (at.layers, at.weights), row, run) for row in by_layer
    ])  # fmt: skip


def _excess(samples: Float[np.ndarray, "n d"]) -> float:
    variances = np.linalg.eigvalsh(np.cov(samples.astype(np.float64), rowvar=False))
    return float(variances[-1] / variances.mean())


def _noise(count: int, size: int, seed: int) -> float:
    return _excess(np.random.default_rng(seed).standard_normal((count, size)))
