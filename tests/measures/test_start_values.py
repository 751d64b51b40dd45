"""Where the search for a shifted image starts, and what clipping does, on a linear
generator.
"""

import numpy as np

from ganspace_jax.measures import norm_clip, start_values
from ganspace_jax.methods.trajectories import TrajectorySearch
from ganspace_jax.sampling import latent_prior, random_samples
from ganspace_jax.sampling.target_descent import Descent
from tests import toy_generators

GENERATOR = toy_generators.linear(has_mapping=False)


def test_a_search_that_starts_at_its_target_has_arrived():
    latents = random_samples.draw(GENERATOR, 0, 8, seed=0).latent
    descent = Descent(GENERATOR, "z", latent_prior.of_z(GENERATOR, 5), 0.0, 0.0, 1, 0.1)
    search = start_values.Search(
        descent, latents[:4], latents[4:], None, np.array([1.0, -1.0, 1.0, -1.0]), np.array([0.0]),
        lambda images: images.mean((1, 2, 3)),
    )  # fmt: skip
    rows = start_values.measure(search, (5, 300))
    cases = [tuple(row.case.values()) for row in rows]
    assert cases[::2] == [(start, way, "5") for start in ("own", "random") for way in ("recursion", "direct")]
    by_case = dict(zip(cases, rows, strict=True))
    near, far, found = (
        by_case["own", "direct", "5"], by_case["random", "direct", "5"], by_case["random", "direct", "300"]
    )  # fmt: skip
    assert near.figures["share above 28 dB"].value == 1.0 > far.figures["share above 28 dB"].value
    assert near.figures["median error of the position (px)"].value < 1e-5
    assert far.figures["loss x 1000"].value > 10 * found.figures["loss x 1000"].value
    steps = "median steps to 28 dB (600: more than 300)"
    assert near.figures[steps].value == 5 < far.figures[steps].value


def test_shifted_images_have_masks_as_wide_as_their_shifts():
    images = np.random.default_rng(0).normal(size=(2, 4, 8, 1)).astype(np.float32)
    targets, mask = start_values.shifted(images, 3.0, np.array([1.0, -1.0]))
    np.testing.assert_array_equal(8 - mask[:, 0, :, 0].sum(1), [3, 3])
    np.testing.assert_allclose(targets[0, :, 3:], images[0, :, :-3], atol=1e-5)
    np.testing.assert_allclose(targets[1, :, :-3], images[1, :, 3:], atol=1e-5)


def test_clipping_keeps_distances_and_their_absence_does_not():
    spec = TrajectorySearch("brightness", num_images=4, num_steps=10, rate=0.5)
    rows = norm_clip.measure(GENERATOR, spec, lambda found: np.array([1.0, np.nan, 3.0]))
    assert [row.case["kept near the prior by"] for row in rows] == ["clip", "none", "penalty 0.001"]
    clipped, free = (row.figures for row in rows[:2])
    assert clipped["largest"].value <= max(1.0, clipped["distance at the start"].high) + 1.5
    assert free["distance at the ends"].value > clipped["distance at the ends"].value
    assert clipped["median error of the position (px)"].value == 2.0
