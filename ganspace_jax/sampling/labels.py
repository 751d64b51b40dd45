"""The classes of conditional generators: from a user's text to one-hot labels."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ganspace_jax import errors
from ganspace_jax.errors import InputError
from ganspace_jax.files.inert import array_files
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


def act_on_images(generator: Generator) -> bool:
    """Returns whether a label acts on the images of given latents.

    In a generator with a mapping network the label acts on w alone.
    """
    return generator.num_classes > 0 and not generator.has_mapping


def weights(label: Any, count: int, generator: Generator) -> Float[np.ndarray, "n classes"]:
    """Returns the class weights of a label from a file.

    Args:
        label: class index or name of all samples, one per sample, or weights [n,
            classes].
        count: number of samples n.
        generator: conditional generator.

    Raises:
        ValueError: if the label does not fit the samples or the generator.
    """
    num_classes, needed = generator.num_classes, (count, generator.num_classes)
    items = [label] if isinstance(label, str) else label.ravel().tolist() if isinstance(label, np.ndarray) else label
    if isinstance(items, list | tuple) and items and all(isinstance(item, str) for item in items):
        label = [_index(item, generator) for item in items]
    values = array_files.as_array(list(label) if isinstance(label, tuple) else label)
    if not isinstance(values, np.ndarray) or values.dtype.kind not in "fiub":
        raise ValueError(f"label holds {type(label).__name__}, this generator needs {needed}")
    if values.shape == (count, 1) and num_classes != 1:
        values = values[:, 0]
    is_index = values.dtype.kind != "b" and np.all(
        (values >= 0) & (values < num_classes) & (values == np.round(values))
    )
    if values.shape in ((), (1,), (count,)) and is_index:
        return np.eye(num_classes, dtype=np.float32)[np.broadcast_to(values, count).astype(int)]
    if values.shape == needed[1:] and count == 1:
        values = values[None]
    if values.shape != needed or not num_classes:
        raise ValueError(f"label has shape {values.shape}, this generator needs {needed}")
    return values.astype(np.float32)


def _index(name: str, generator: Generator) -> int:
    if name not in generator.class_names:
        hint = errors.nearest(name, generator.class_names)
        raise ValueError(f"label {errors.printable(name)!r}: {hint}this generator has no such class")
    return generator.class_names.index(name)


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
