"""Claim: BigGAN's components are more entangled than StyleGAN's.

The same scorer reads both generators. Each method offers as many directions. For each
factor, the purest direction is chosen on one half of the images and measured on the
other. StyleGAN's z stands beside its w: there the components of w become directions of
z by least squares, as GANSpace does for BigGAN.
"""

import jax.numpy as jnp
import numpy as np

from ganspace_jax.claims import best_directions
from ganspace_jax.claims.findings import Figure, Finding, Verdict
from ganspace_jax.claims.subjects import NUM_COMPONENTS, Subject, Subjects
from ganspace_jax.directions.components import Components
from ganspace_jax.directions.random_directions import random_like
from ganspace_jax.generators import synthesis
from ganspace_jax.measures import effects, scorers
from ganspace_jax.methods import decomposition
from ganspace_jax.methods.decomposition import Decomposition
from ganspace_jax.run import Run
from ganspace_jax.sampling import latents, scored_images
from ganspace_jax.shapes import Float

QUESTION = "Are BigGAN's components more entangled than StyleGAN's?"


def find(subjects: Subjects, *, num_images: int = 256, seed: int = 0, run: Run = Run()) -> Finding:
    """Returns the answer.

    Args:
        subjects: the generators.
        num_images: number of images; one half chooses and one half measures.
        seed: seed of the images.
        run: progress and stopping.

    Raises:
        Interrupted: if run.should_stop returned True.
    """
    style, big = subjects

    def measured(subject: Subject, basis: Components) -> Float[np.ndarray, "c n f"]:
        scored_images.check_stop(run)
        return effects.measure(subject.generator, basis, subject.scorer, num_samples=num_images, seed=seed)

    changes = {
        "stylegan2-scenes, components of w": measured(style, style.components),
        "stylegan2-scenes, random directions of w": measured(style, random_like(style.components, seed)),
        "stylegan2-scenes, components of w as directions of z": measure_in_z(
            style, num_samples=num_images, seed=seed, run=run
        ),
        "biggan-deep-scenes, components of gen_z": measured(big, big.components),
        "biggan-deep-scenes, random directions of z": measured(big, random_like(big.components, seed)),
    }
    figures = [
        best_directions.mean_purity(f"mean purity: {name}", one, style.scorer, seed) for name, one in changes.items()
    ]
    verdict, answer = _answer(figures)
    return Finding(QUESTION, verdict, answer, figures)


def _answer(figures: list[Figure]) -> tuple[Verdict, str]:
    w, _, z, gen_z, _ = figures
    verdict: Verdict = "yes" if gen_z.high < w.low else "no" if gen_z.low > w.high else "open"
    compared = {"yes": "are less pure than", "no": "are purer than", "open": "do not differ clearly from"}[verdict]
    return verdict, (
        f"The best components of biggan-deep-scenes {compared} those of stylegan2-scenes: mean purity {gen_z.value:.2f} "
        f"against {w.value:.2f}. As directions of z, StyleGAN's components have {z.value:.2f}. The class of "
        "biggan-deep-scenes determines the shape, so its components need not keep it."
    )


def measure_in_z(subject: Subject, *, num_samples: int, seed: int, run: Run = Run()) -> Float[np.ndarray, "c n f"]:
    """Returns the changes of all values for steps of z from -1 to +1 standard
    deviation.
    """
    generator, scorer = subject.generator, subject.scorer
    spec = Decomposition("w", latent_space="z", num_samples=20_000, num_components=NUM_COMPONENTS, seed=seed)
    rows = decomposition.decompose(generator, spec, run).latent_components
    z = latents.sample(synthesis.seeded_key(seed), jnp.arange(num_samples), generator.z_dim, generator.prior)

    def values(step: np.ndarray) -> Float[np.ndarray, "n f"]:
        mapped = np.asarray(synthesis.map_latents(generator, z + step, None))
        return np.concatenate([scorer.read(images) for images in scored_images.images(generator, mapped, None, run)])

    return np.stack([scorers.changes(scorer, values(-row), values(row)) for row in rows])
