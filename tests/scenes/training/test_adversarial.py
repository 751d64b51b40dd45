"""Training: the effects of a step, and of a whole run."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ganspace_jax.errors import InputError
from ganspace_jax.generators import biggan_deep, stylegan2
from ganspace_jax.sampling import devices as device_meshes
from ganspace_jax.scenes.training import adversarial
from ganspace_jax.scenes.training import discriminator as discriminators

RECIPE = adversarial.Recipe(num_images=4096, batch_size=8, average_images=16.0, r1_interval=4, decay=0.5)


def _networks():
    config = stylegan2.Config(z_dim=4, w_dim=4, channels=(6, 4), mapping_layers=2, use_noise=False)
    generator = stylegan2.StyleGAN2(config, key=jax.random.key(0))
    return generator, discriminators.Discriminator(discriminators.Config((4, 6)), key=jax.random.key(1))


class Counted:
    """Real images of one grey, that count how often they are traced."""

    def __init__(self):
        self.traces = 0

    def __call__(self, key, num_images):
        self.traces += 1
        return adversarial.Batch(0.5 + 0.1 * jax.random.normal(key, (num_images, 8, 8, 3)))


@pytest.fixture(scope="module")
def steps():
    """The first nine states and their metrics, with R1 every fourth step, and how often
    the step was traced.
    """
    render = Counted()
    networks, state = adversarial.init(*_networks(), RECIPE)
    history = [(jax.tree.map(np.asarray, state), None)]
    for step in range(9):
        regularize = step % RECIPE.r1_interval == 0
        state, metrics = adversarial.update(networks, RECIPE, render, state, jax.random.key(2), regularize=regularize)
        history.append((jax.tree.map(np.asarray, state), metrics))
    return history, render.traces


def test_one_program_with_the_penalty_and_one_without(steps):
    assert steps[1] == 2


def test_both_networks_learn_and_the_mean_latent_follows(steps):
    history, _ = steps
    first, last = history[0][0], history[-1][0]
    assert int(last.step) == 9
    for name in ("generator", "discriminator"):
        changed = jax.tree.map(lambda a, b: bool(np.any(a != b)), getattr(first, name), getattr(last, name))
        assert all(jax.tree.leaves(changed)), name
    assert all(
        np.any(a != b) for a, b in zip(jax.tree.leaves(first.buffers), jax.tree.leaves(last.buffers), strict=True)
    )


def test_penalty_only_where_it_is_asked_for(steps):
    penalties = [float(metrics.r1) for _, metrics in steps[0][1:]]
    assert [p > 0 for p in penalties] == [step % 4 == 0 for step in range(9)]


def test_average_has_its_half_life(steps):
    """Against the recursion in float64; the half-life grows with the images seen, up to
    that of the recipe.
    """
    history, _ = steps
    average = [np.float64(x) for x in jax.tree.leaves(history[0][0].average)]
    for step, (state, _) in enumerate(history[1:]):
        keep = 0.5 ** (8 / min(16.0, 0.05 * 8 * (step + 1)))
        new = [np.float64(x) for x in jax.tree.leaves(state.generator)]
        average = [keep * a + (1 - keep) * n for a, n in zip(average, new, strict=True)]
    for expected, found in zip(average, jax.tree.leaves(history[-1][0].average), strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-5)


def test_two_devices_take_the_same_steps_as_one(steps):
    """Up to rounding; the batch really lies split, and the state is on both."""
    history, _ = steps
    networks, state = adversarial.init(*_networks(), RECIPE)
    devices = device_meshes.all_devices(RECIPE.batch_size)
    assert devices.size == 2
    state, render = device_meshes.replicate(state, devices), Counted()
    for step in range(3):
        state, _ = adversarial.update(
            networks, RECIPE, render, state, jax.random.key(2), regularize=step % 4 == 0, devices=devices
        )
    for one, two in zip(jax.tree.leaves(history[3][0]), jax.tree.leaves(state), strict=True):
        assert len(two.sharding.device_set) == 2
        np.testing.assert_allclose(two, one, rtol=1e-3, atol=1e-4)
    compiled = adversarial.update.lower(
        networks, RECIPE, render, state, jax.random.key(2), regularize=False, devices=devices
    ).compile()
    assert "all-reduce" in compiled.as_text()
    with pytest.raises(InputError, match="--batch_size=7: must be a multiple of 2"):
        device_meshes.all_devices(7)


def test_discriminator_comes_to_tell_real_from_generated():
    """With a generator that hardly learns, the logits part."""
    networks, state = adversarial.init(*_networks(), RECIPE)
    render = Counted()
    metrics = None
    for _ in range(60):
        state = state._replace(generator=jax.tree.map(jnp.asarray, adversarial.init(*_networks(), RECIPE)[1].generator))
        state, metrics = adversarial.update(networks, RECIPE, render, state, jax.random.key(2), regularize=False)
    assert metrics is not None and metrics.real_logit - metrics.fake_logit > 2.0


def test_a_conditional_step_with_spectral_norm():
    """BigGAN's recipe: both networks learn, every normalised weight is divided, batch
    statistics leave the buffers alone.
    """
    blocks = ((False, 2, 2), (True, 2, 1))
    config = biggan_deep.Config(4, 3, 8, blocks, attention_position=1, num_statistics=2)
    judge = discriminators.Config((4, 6), num_classes=3, equalized=False)
    recipe = dataclasses.replace(
        RECIPE, loss="hinge", spectral_norm=True, batch_statistics=True, style_mixing=0.0, learning_rate=1e-3
    )
    networks, state = adversarial.init(
        biggan_deep.BigGANDeep(config, key=jax.random.key(0)),
        discriminators.Discriminator(judge, key=jax.random.key(1)),
        recipe,
    )
    assert not any("embeddings" in name for name in state.generator_spectral)
    first = jax.tree.map(np.asarray, state)

    def render(key, num_images):
        labels = jax.nn.one_hot(jnp.arange(num_images) % 3, 3)
        return adversarial.Batch(
            jnp.ones((num_images, 8, 8, 3)) * (labels @ jnp.array([-0.5, 0.0, 0.5]))[:, None, None, None], labels
        )

    for _ in range(3):
        state, metrics = adversarial.update(networks, recipe, render, state, jax.random.key(2), regularize=False)
        assert all(np.isfinite(value) for value in metrics)
    unchanged = jax.tree.map(lambda a, b: bool(np.all(a == b)), first.buffers, state.buffers)
    assert all(jax.tree.leaves(unchanged))
    for name in ("generator", "discriminator", "generator_spectral", "discriminator_spectral"):
        changed = jax.tree.map(lambda a, b: bool(np.any(a != b)), getattr(first, name), getattr(state, name))
        assert np.mean(jax.tree.leaves(changed)) > 0.8, name
    shipped = adversarial.averaged_generator(networks, state)
    for weight in (shipped.gen_z.weight[...], shipped.layers_0.conv_1.weight[...]):
        sigma = np.linalg.svd(np.asarray(weight).reshape(-1, weight.shape[-1]), compute_uv=False)[0]
        np.testing.assert_allclose(sigma, 1.0, rtol=0.02)


def test_learning_rate_is_constant_and_then_falls_to_a_twentieth():
    optimizer = RECIPE.optimizer()
    params = jnp.zeros(())
    state, sizes = optimizer.init(params), []
    for _ in range(RECIPE.num_steps + 1):
        update, state = optimizer.update(jnp.ones(()), state)
        sizes.append(-float(update) / RECIPE.learning_rate)  # Adam of a constant gradient: the rate itself
    assert RECIPE.num_steps == 512
    np.testing.assert_allclose(sizes[:256], 1.0, rtol=1e-4)
    np.testing.assert_allclose([sizes[384], sizes[512]], [0.525, 0.05], rtol=1e-3)
