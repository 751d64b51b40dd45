"""Random samples with scores: sample i depends on the seed and i alone."""

import jax
import jax.numpy as jnp
import numpy as np

from ganspace_jax.generators import base, dcgan, synthesis
from ganspace_jax.run import Run
from ganspace_jax.sampling import random_samples, scored_images
from tests import toy_generators


def test_samples_do_not_depend_on_the_chunk():
    generator = base.split(dcgan.DCGAN(dcgan.Config(4, (6, 3), num_classes=2), key=jax.random.key(0)))
    whole = random_samples.draw(generator, 0, 6, seed=3)
    part = random_samples.draw(generator, 4, 6, seed=3)
    for own, all_of_it in zip(part, whole, strict=True):
        np.testing.assert_allclose(own, all_of_it[4:], rtol=1e-6)
    assert set(np.argmax(random_samples.draw(generator, 0, 40, seed=3).weights, 1)) == {0, 1}
    one_class = random_samples.draw(generator, 0, 6, seed=3, label=1)
    np.testing.assert_array_equal(one_class.weights, np.tile([0.0, 1.0], (6, 1)))
    np.testing.assert_array_equal(one_class.latent, one_class.layers[:, 0])


def test_scores_are_those_of_each_samples_image():
    generator, reports = toy_generators.linear(), []
    read = toy_generators.reader(np.ones((1, 16)))
    run = Run(batch_size=4, report=reports.append)
    (samples, values), *others = scored_images.read_in_chunks(
        generator, lambda x: np.asarray(read(x)), 10, seed=0, run=run
    )
    assert not others and reports[-1][:2] == (10, 10)
    np.testing.assert_allclose(values, read(synthesis.synthesize(generator, jnp.asarray(samples.layers))), rtol=1e-5)
    np.testing.assert_array_equal(samples.latent, samples.layers[:, 0])
