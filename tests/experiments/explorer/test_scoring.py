"""What directions change, in words."""

import dataclasses

import numpy as np

from experiments.explorer import scoring
from ganspace_jax.directions import foreign_files
from ganspace_jax.generators import zoo
from ganspace_jax.measures.effects import Effects


def test_effects_in_words_are_the_largest_ones_with_their_sign():
    size = np.array([[0.1, 1.26, 0.5, 0.3], [0.1, 0.2, 0.0, 0.1], [2.0, 0.3, 0.4, 0.5]])
    slope = np.array([[0.1, -1.2, 0.1, 0.3], [0.1, 0.2, 0.0, 0.1], [2.0, 0.3, 0.4, 0.5]])
    found = scoring.in_words(Effects(("hue", "light_intensity", "size", "x"), size, slope))
    assert found == [["light intensity -1.2", "size ±0.5", "x +0.3"], [], ["hue +2.0", "x +0.5", "size +0.4"]]


def test_the_probe_tells_what_directions_of_scenes_change(components_path):
    """A direction of length 0 changes nothing; a long one changes something."""
    generator, loaded = zoo.load("stylegan2-scenes"), foreign_files.load_components(components_path)
    two = np.array([0.0, 3.0, 1.0, 1.0], np.float32)[:2]
    rows = dataclasses.replace(
        loaded, **{name: getattr(loaded, name)[:2] for name in (
            "activation_components", "activation_stdevs", "latent_components", "variance_ratio", "random_stdevs", "r2",
            "stability", "latent_uncertainty", "variance_error",
        )}, latent_stdevs=two,
    )  # fmt: skip
    found = scoring.moves(generator, rows, "probe", "stylegan2-scenes")
    assert found[0] == [] and found[1]
