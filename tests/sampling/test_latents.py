"""Latents: a sample depends on its number alone, and published seeds mean what they
meant.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ganspace_jax.errors import InputError
from ganspace_jax.generators import base, stylegan2, synthesis
from ganspace_jax.generators.synthesis import Synthesis
from ganspace_jax.methods import decomposition
from ganspace_jax.sampling import devices, latents, sweep_parts, sweeps
from ganspace_jax.sampling.layers import LayerSpec
from ganspace_jax.statistics import moments


def test_a_sample_does_not_depend_on_its_batch():
    key = jax.random.key(3)
    together = latents.sample(key, jnp.arange(10), 4)
    apart = jnp.concatenate([latents.sample(key, jnp.arange(start, start + 5), 4) for start in (0, 5)])
    np.testing.assert_array_equal(together, apart)
    np.testing.assert_array_equal(together[7:8], latents.sample(key, jnp.array([7]), 4))


def test_samples_are_standard_normal():
    """Mean, covariance and fourth moment of 40,000 samples, within five standard
    errors.
    """
    z = np.asarray(latents.sample(jax.random.key(0), jnp.arange(40_000), 3), np.float64)
    assert np.all(np.abs(z.mean(0)) < 5 / 200)
    np.testing.assert_allclose(z.T @ z / len(z), np.eye(3), atol=5 * np.sqrt(2) / 200)
    np.testing.assert_allclose((z**4).mean(0), 3.0, atol=5 * np.sqrt(96) / 200)


def test_published_seeds():
    """The numbers that NumPy has drawn for these seeds since 2006."""
    np.testing.assert_allclose(latents.from_seed(1, 3)[0], [1.62434536, -0.61175641, -0.52817175], rtol=1e-6)
    stacked = latents.from_seeds([0, 1], 3)
    np.testing.assert_allclose(stacked[0], [1.76405235, 0.40015721, 0.97873798], rtol=1e-6)
    np.testing.assert_array_equal(stacked[1:], latents.from_seed(1, 3))


def test_seeds_parse():
    assert latents.parse_seeds(["3", "1"]) == [3, 1]
    for bad in (["-1"], ["a"], ["1.5"], ["9" * 5000]):
        with pytest.raises(InputError, match="--seeds="):
            latents.parse_seeds(bad)


def test_too_many_seeds_are_refused_at_once():
    assert len(latents.parse_seeds([f"1-{latents.MAX_SEEDS}"])) == latents.MAX_SEEDS
    for texts in (["1-100000000"], [f"1-{latents.MAX_SEEDS}", "7"]):
        with pytest.raises(InputError, match="--seeds=.*: more than 100,000 seeds"):
            latents.parse_seeds(texts)


def test_truncated_normal_prior():
    """Bounded by 2 psi, with the variance that the estimator uses; published seeds are
    SciPy's.
    """
    z = np.asarray(latents.sample(jax.random.key(0), jnp.arange(20_000), 2, "truncated_normal", 0.5), np.float64)
    assert 0.95 < np.abs(z).max() <= 1.0
    assert latents.variance("truncated_normal", 0.5) == pytest.approx(0.7737413 * 0.25, rel=1e-6)
    np.testing.assert_allclose(z.var(), latents.variance("truncated_normal", 0.5), rtol=0.02)
    seeded = latents.from_seed(3, 4, 2, "truncated_normal", 0.5)
    np.testing.assert_array_equal(2.0 * seeded, latents.from_seed(3, 4, 2, "truncated_normal"))
    assert np.abs(seeded).max() <= 1.0


def _generator():
    config = stylegan2.Config(z_dim=4, w_dim=4, channels=(3,), mapping_layers=1)
    return base.split(stylegan2.StyleGAN2(config, key=jax.random.key(0)))


def _samples(generator, seed):
    samples = sweep_parts.Samples(generator, LayerSpec("w", "w"), 16, seed)
    step = sweep_parts.Step(lambda *args: args[0], moments.init(4))
    return sweeps.sweep(samples, sweep_parts.Execution(devices.own_devices(), 8), moments, step, 0, 16)


def _image(generator, noise):
    return synthesis.synthesize(generator, jnp.zeros((1, *generator.latent_shape)), Synthesis(noise=noise))


TAKERS = {
    "published seeds": lambda generator, seed: latents.layer_latents(generator, [seed]),
    "one published seed": lambda generator, seed: latents.from_seed(seed, 4),
    "noise": _image,
    "spec": lambda generator, seed: decomposition.Decomposition(num_samples=99, seed=seed),
    "samples": _samples,
    "list": lambda generator, seed: latents.parse_seeds([str(seed)]),
    "effects": lambda generator, seed: synthesis.seeded_key(seed),
}


@pytest.mark.parametrize("seed", [2**32, 2**32 + 1, 2**70, -1])
@pytest.mark.parametrize("taker", TAKERS)
def test_seeds_that_would_repeat_another_one_are_refused(taker, seed):
    """JAX ignores the bits above the 32nd."""
    with pytest.raises(InputError, match=f"seeds?={seed}: must be"):
        TAKERS[taker](_generator(), seed)


def test_the_largest_seeds_differ():
    drawn = [np.asarray(jax.random.key_data(synthesis.seeded_key(seed))).tolist() for seed in (0, 1, 2**31, 2**32 - 1)]
    assert len(set(map(tuple, drawn))) == 4
    assert latents.from_seed(2**32 - 1, 4).shape == (1, 4)
