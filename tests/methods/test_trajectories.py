"""methods/trajectories and sampling/target_descent: latents that follow a
transformation.
"""

import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest

from ganspace_jax.errors import InputError
from ganspace_jax.generators import synthesis
from ganspace_jax.methods import image_transforms, trajectories
from ganspace_jax.methods.image_transforms import Transform
from ganspace_jax.methods.trajectories import Trajectories, TrajectorySearch
from ganspace_jax.run import Interrupted, Run
from ganspace_jax.sampling import latent_prior, random_samples, target_descent
from ganspace_jax.sampling.target_descent import Descent
from tests import toy_generators

SPEC = TrajectorySearch("planted", loss="pixels", num_steps=8, num_images=4, num_samples=100, clip=False)
MOVE = np.array([1.0, -0.5, 0.0, 0.5, 1.0])


@pytest.fixture(scope="module")
def toy():
    return toy_generators.linear()


@pytest.fixture(scope="module", autouse=True)
def planted(toy):
    """A transformation that the toy makes: t = 1 moves w by MOVE."""
    change = (toy_generators.matrices(toy).sum(0) @ MOVE).reshape(4, 4, 1).astype(np.float32)

    def apply(images, t):
        return jnp.asarray(images) + t * change, jnp.ones((1, 4, 4, 1))

    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(image_transforms.TRANSFORMS, "planted", Transform(apply, "steps", step=0.5, reach=2.0))
        yield


@pytest.fixture(scope="module")
def descent(toy):
    return Descent(toy, "w", latent_prior.estimate(toy, num_samples=100), 0.0, 0.0, num_steps=200, rate=0.05)


def _move(descent, start, targets, mask, bound=np.inf):
    mask = np.broadcast_to(mask, (len(start), 4, 4, 1)).astype(np.float32)
    return target_descent.descend(descent, start, None, targets, mask, np.full(len(start), bound))


def test_the_latents_of_reachable_targets_are_found_from_the_defined_pixels(toy, descent):
    start = random_samples.draw(toy, 0, 2, seed=0).latent
    wanted = start + 0.5 * MOVE.astype(np.float32)
    targets = target_descent.synthesize(toy, "w", wanted, None)
    mask = np.ones((4, 4, 1))
    mask[:, 0] = 0.0
    found = _move(descent, start, np.where(mask > 0, targets, 7.0), mask)
    np.testing.assert_allclose(found, wanted, atol=0.02)


def test_norms_are_clipped(toy, descent):
    start = random_samples.draw(toy, 0, 2, seed=0).latent
    targets = target_descent.synthesize(toy, "w", descent.prior.mean + 4 * (start - descent.prior.mean), None)
    found = _move(descent._replace(num_steps=60), start, targets, np.ones((4, 4, 1)), bound=1.5)
    np.testing.assert_allclose(target_descent.distances(descent.prior, found), 1.5, rtol=1e-4)


def test_images_of_z_pass_through_the_mapping(toy):
    z = np.random.default_rng(0).normal(size=(2, 5)).astype(np.float32)
    wanted = synthesis.synthesize(toy, synthesis.map_latents(toy, jnp.asarray(z)))
    np.testing.assert_allclose(target_descent.synthesize(toy, "z", z, None), wanted, atol=1e-5)


def test_recursion_follows_farther_than_direct_descents(toy):
    recursive = trajectories.follow(toy, SPEC)
    direct = trajectories.follow(toy, dataclasses.replace(SPEC, recursive=False))
    np.testing.assert_allclose(recursive.amounts, np.linspace(-2.0, 2.0, 9))
    np.testing.assert_array_equal(recursive.latents[:, [3, 4, 5]], direct.latents[:, [3, 4, 5]])
    wanted = recursive.latents[:, [4]] + recursive.amounts[:, None] * MOVE
    missed = [np.linalg.norm(one.latents - wanted, axis=2)[:, [0, -1]] for one in (recursive, direct)]
    assert np.all(missed[0] < 0.8 * missed[1])


@pytest.mark.parametrize("space", ["w", "z"])
def test_the_search_returns_a_direction_that_reads_and_moves(toy, space):
    spec = dataclasses.replace(SPEC, latent_space=space, num_steps=40, num_images=8)
    components, followed, fitted = trajectories.find(toy, spec, Run(batch_size=16))
    assert components.spec.latent_space == space
    (named,) = components.named
    assert named.name == "planted" and np.all(np.diff(named.curve.values) >= 0) and named.curve.values[-1] > 0.5
    mapping = np.asarray(toy.merge().map[...], np.float64)
    move = MOVE if space == "w" else np.linalg.solve(mapping, MOVE)
    assert components.latent_components[0] @ move > 0.98 * np.linalg.norm(move)
    assert np.all(np.isfinite(followed.psnr[:, :4]))
    paper = trajectories.find(toy, dataclasses.replace(spec, traverse="readout"), Run(batch_size=16))[0]
    np.testing.assert_allclose(paper.latent_components[0] * np.linalg.norm(fitted.read), fitted.read, rtol=1e-3)


def test_a_trajectory_stays_within_the_norm_of_its_start_or_of_a_typical_latent(toy):
    followed = trajectories.follow(toy, dataclasses.replace(SPEC, latent_space="z", num_steps=20, clip=True))
    assert np.all(followed.distances <= np.maximum(1.0, followed.distances[:, [4]]) + 1e-4)
    free = trajectories.follow(toy, dataclasses.replace(SPEC, latent_space="z", num_steps=20))
    assert free.distances.max() > followed.distances.max() + 0.1


def test_a_planted_motion_is_read_in_its_own_unit():
    """Latents move along one vector, as far as the amount."""
    random = np.random.default_rng(1)
    amounts, move = np.linspace(-1.0, 1.0, 5), np.array([1.0, 0.5, 0.0])
    starts = random.normal(size=(50, 1, 3))
    prior = latent_prior.of_covariance(np.zeros(3), np.eye(3))
    path = starts + amounts[:, None] * move
    followed = Trajectories(amounts, path, np.zeros((50, 5)), np.zeros((50, 5)), None, "w", prior)
    found = trajectories.fit(followed, 3)
    np.testing.assert_allclose(found.displacement, move, atol=1e-9)
    np.testing.assert_allclose(trajectories.slopes(followed), np.tile(move, (50, 1)), atol=1e-9)
    # g is flat beyond 3 standard deviations, where few pairs lie.
    assert found.error < 0.02 and found.read @ move > 1.05


def test_stopping_and_wrong_settings(toy):
    with pytest.raises(Interrupted):
        trajectories.follow(toy, SPEC, Run(should_stop=lambda: True))
    with pytest.raises(InputError, match="--latent_space=w: this generator has no w"):
        trajectories.follow(toy_generators.linear(has_mapping=False), dataclasses.replace(SPEC, latent_space="w"))
    for name, value in (("num_steps", 0), ("rate", 0.0), ("penalty", -1.0), ("num_knots", 1), ("latent_space", "x")):
        with pytest.raises(InputError, match=f"--{name}="):
            TrajectorySearch(**{name: value})
