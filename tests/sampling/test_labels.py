"""Labels: what a user's text means for a generator, and the classes of samples."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ganspace_jax.errors import InputError
from ganspace_jax.generators import base, biggan_deep, dcgan
from ganspace_jax.sampling import labels, latents


@pytest.fixture(scope="module")
def conditional():
    config = biggan_deep.Config(
        5, 3, 4, ((False, 2, 2),), attention_position=-1, num_statistics=3, class_names=("cube", "cone", "sphere")
    )
    return base.split(biggan_deep.BigGANDeep(config, key=jax.random.key(0)))


EYE = np.eye(3, dtype=np.float32)
WEIGHTS = {
    "indices": np.array([2, 0]), "floats": np.array([2.0, 0.0]), "a column": np.array([[2], [0]]), "a list": [2, 0],
    "names": ["sphere", "cube"], "names in an array": np.array(["sphere", "cube"]), "weights": EYE[[2, 0]],
    "truth values": EYE[[2, 0]] > 0, "whole weights": EYE[[2, 0]].astype(int),
}  # fmt: skip


@pytest.mark.parametrize("kind", WEIGHTS)
def test_labels_of_every_form_become_weights(conditional, kind):
    np.testing.assert_array_equal(labels.weights(WEIGHTS[kind], 2, conditional), EYE[[2, 0]])


@pytest.mark.parametrize("label", [1, 1.0, "cone", [1], ["cone"], np.array(1), np.int64(1)])
def test_one_label_in_a_file_is_that_of_all_samples(conditional, label):
    np.testing.assert_array_equal(labels.weights(label, 2, conditional), EYE[[1, 1]])


@pytest.mark.parametrize(
    ("label", "message"),
    [
        (np.array([0, 3]), r"label has shape \(2,\), this generator needs \(2, 3\)"), ([0, 1, 2], r"has shape \(3,\)"),
        (["cone", "cones"], "label 'cones': did you mean 'cone'"), (np.array([0.5, 1]), r"has shape \(2,\)"),
        ([[0], [1, 2]], "label holds list"),
    ],
)  # fmt: skip
def test_labels_that_do_not_fit_are_refused(conditional, label, message):
    with pytest.raises(ValueError, match=message):
        labels.weights(label, 2, conditional)


def test_one_hot():
    assert labels.one_hot(None, 3, 2) is None
    np.testing.assert_array_equal(labels.one_hot(1, 3, 2), [[0, 1, 0], [0, 1, 0]])


def test_a_mixture_draws_every_class_alike():
    """Uniform, by the sample's number alone, and not by its z."""
    key, indices = jax.random.key(0), jnp.arange(6000)
    drawn = np.asarray(labels.sample(key, indices, "all", 3))
    np.testing.assert_allclose(drawn.mean(0), 1 / 3, atol=0.03)
    np.testing.assert_array_equal(drawn[40:50], labels.sample(key, indices[40:50], "all", 3))
    z = np.asarray(latents.sample(key, indices, 2))
    assert np.abs(np.corrcoef(z.T, drawn[:, :2].T)[:2, 2:]).max() < 0.05


@pytest.mark.parametrize(("text", "label"), [("all", "all"), ("cone", 1), ("2", 2), (2, 2), (None, 0)])
def test_labels_parse_and_the_first_class_is_the_default(conditional, text, label):
    assert labels.resolve(text, conditional) == label


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("coen", "--label=coen: did you mean 'cone'"),
        ("3", "--label=3: must be a class from 0 to 2"),
        ("-1", "--label=-1: must be"),
    ],
)
def test_other_labels_are_answered_with_what_there_is(conditional, text, message):
    with pytest.raises(InputError, match=message):
        labels.resolve(text, conditional)


def test_labels_are_for_conditional_generators():
    generator = base.split(dcgan.DCGAN(dcgan.Config(4, (8, 4)), key=jax.random.key(0)))
    assert labels.resolve(None, generator) is None
    with pytest.raises(InputError, match="--label=0: this generator is not conditional"):
        labels.resolve("0", generator)


def test_labels_in_words(conditional):
    words = [labels.describe(label, conditional) for label in (1, "all", None)]
    assert words == ["class cone", "all classes", ""]
