"""Measures how far each latent rule is off the latent directions of many samples.

    python -m benchmarks.latent_rule --generator=runs/faces --layer=main.2

Both rules find the latent directions of the same components, from few samples. The
reference regresses these components on the latents of many other samples. Prints the
angles in degrees, and the uncertainty that a components file states; this also counts
the uncertainty of the component itself.
"""

import argparse

import jax.numpy as jnp
import numpy as np

from benchmarks import machine
from ganspace_jax.generators import synthesis, zoo
from ganspace_jax.generators.base import Generator
from ganspace_jax.methods import decomposition
from ganspace_jax.methods.decomposition import Decomposition
from ganspace_jax.sampling import random_samples

RULES = ("published", "gradient")
SEED, REFERENCE_SEED = 0, 77
BATCH = 500


def reference(generator: Generator, layer: str, components: np.ndarray, num_samples: int) -> np.ndarray:
    """Returns cov(y, z) cov(z)^-1 of the coordinates y of components, in float64."""
    samples = random_samples.draw(generator, 0, num_samples, seed=REFERENCE_SEED)
    coordinates = []
    for first in range(0, num_samples, BATCH):
        latents = jnp.asarray(samples.layers[first : first + BATCH])
        activations = synthesis.activation(generator, latents, layer, synthesis.Synthesis())
        coordinates.append(np.asarray(activations, np.float64).reshape(len(latents), -1) @ components.T)
    y, z = np.concatenate(coordinates), np.asarray(samples.latent, np.float64)
    y, z = y - y.mean(0), z - z.mean(0)
    return np.linalg.solve(z.T @ z, z.T @ y).T


def degrees(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Returns the angles between the lines of rows."""
    cosines = np.abs((a * b).sum(1)) / (np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1))
    return np.degrees(np.arccos(np.minimum(cosines, 1.0)))


def main():
    """Prints one row per rule."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--generator", required=True, help="generator whose latent is z, without classes")
    parser.add_argument("--layer", required=True, help="layer of the components")
    parser.add_argument("--num_samples", type=int, default=3000, help="samples of each rule")
    parser.add_argument("--num_reference", type=int, default=60_000, help="samples of the reference")
    parser.add_argument("--num_components", type=int, default=8, help="components")
    flags = parser.parse_args()
    generator, rows = zoo.load(flags.generator), []
    settings = {"num_samples": flags.num_samples, "num_components": flags.num_components, "seed": SEED}
    found = {
        rule: decomposition.decompose(generator, Decomposition(flags.layer, latent_rule=rule, **settings))
        for rule in RULES
    }
    components = found[RULES[0]].activation_components.reshape(flags.num_components, -1).astype(np.float64)
    exact = reference(generator, flags.layer, components, flags.num_reference)
    for rule, one in found.items():
        angles = degrees(one.latent_components.reshape(exact.shape).astype(np.float64), exact)
        for name, numbers in ((rule, angles), (f"{rule}, stated", one.latent_uncertainty)):
            rows.append({"rule": name, **{f"v{k}": f"{angle:.1f}" for k, angle in enumerate(numbers)}})
    print(machine.table(rows))


if __name__ == "__main__":
    main()
