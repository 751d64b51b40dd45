"""The classes of conditional generators: from a user's text to one-hot labels."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp

from ganspace_jax import errors
from ganspace_jax.errors import InputError
from ganspace_jax.generators.base import Generator
from ganspace_jax.shapes import Array, Float, Int, PRNGKey

Label = int | str | None  # class index, "all" for a mixture of all classes, or None; a class name until `resolve`
_NUM_LISTED = 8  # class names in an error message


def sample(key: PRNGKey, indices: Int[Array, "n"], label: Label, num_classes: int) -> Float[Array, "n classes"] | None:
    """Returns the one-hot labels of the samples with these numbers; None without
    classes.

    For "all", each sample has a class that is drawn uniformly and independently of its
    z. The class of sample i depends on (key, i) alone.
    """
    if not isinstance(label, str):
        return one_hot(label, num_classes, len(indices))

    def draw(index):
        own_key = jax.random.fold_in(jax.random.fold_in(key, index), 1)
        return jax.random.randint(own_key, (), 0, num_classes)

    return jax.nn.one_hot(jax.vmap(draw)(indices), num_classes)


def one_hot(label: int | None, num_classes: int, num_samples: int) -> Float[Array, "n classes"] | None:
    """Returns the one-hot label of one class for all samples; None without a class."""
    if label is None:
        return None
    return jnp.tile(jax.nn.one_hot(label, num_classes), (num_samples, 1))


def resolve(label: str | int | None, generator: Generator) -> Label:
    """Returns the class index, or "all", that a name or number means for this
    generator.

    Without a label, a conditional generator gets its first class.

    Raises:
        InputError: if the generator has no such class.
    """
    network = generator.merge()
    names, num_classes = network.class_names, network.num_classes
    if not num_classes:
        if label is not None:
            raise InputError(f"--label={label}: this generator is not conditional; leave the flag out")
        return None
    if label is None:
        return 0
    if label == "all":
        return "all"
    if isinstance(label, str) and label in names:
        return list(names).index(label)
    if str(label).isdecimal() and int(label) < num_classes:
        return int(label)
    known = f"a class from 0 to {num_classes - 1}, all" + (f", or one of {_listed(names)}" if names else "")
    raise InputError(f"--label={label}: {errors.nearest(str(label), names)}must be {known}")


def describe(label: Label, generator: Generator) -> str:
    """Returns a label in words: "class cone", "class 3" or "all classes"; "" without
    classes.
    """
    if label is None:
        return ""
    if isinstance(label, str):
        return "all classes"
    names = generator.class_names
    return f"class {names[label] if label < len(names) else label}"


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:_NUM_LISTED]) + (", ..." if len(names) > _NUM_LISTED else "")
