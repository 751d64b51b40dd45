"""Where latents come from: counter-based keys, and the seeds that published figures quote."""

import difflib
import re
from collections.abc import Sequence
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
import scipy.stats

from ganspace_jax.errors import InputError
from ganspace_jax.shapes import Array, Float, Int, PRNGKey

Prior = Literal["normal", "truncated_normal"]
Label = int | Literal["all"] | None
CUT = 2.0  # standard deviations at which BigGAN's normal distribution is cut


def sample(
    key: PRNGKey, indices: Int[Array, "n"], z_dim: int, prior: Prior = "normal", truncation_psi: float = 1.0
) -> Float[Array, "n z"]:
    """z of the samples with these numbers, i.i.d. from the prior, sample i depending on (key, i) alone.

    So the samples of a run are the same whatever the batch size, and can be made again instead of stored. "truncated_normal":
    a normal distribution cut at -2 and 2, times truncation_psi (BigGAN, section 3.1); the psi of other priors acts elsewhere.
    """

    def one(index):
        own = jax.random.fold_in(key, index)
        if prior == "normal":
            return jax.random.normal(own, (z_dim,))
        return truncation_psi * jax.random.truncated_normal(own, -CUT, CUT, (z_dim,))

    return jax.vmap(one)(indices)


def variance(prior: Prior, truncation_psi: float = 1.0) -> float:
    """Of each coordinate of z: 1, or 0.7737 psi^2 for the truncated normal."""
    return 1.0 if prior == "normal" else truncation_psi**2 * float(np.asarray(scipy.stats.truncnorm.var(-CUT, CUT)))


def from_seed(
    seed: int, z_dim: int, num_samples: int = 1, prior: Prior = "normal", truncation_psi: float = 1.0
) -> Float[np.ndarray, "n z"]:
    """z of a published seed as the original GANSpace draws it: NumPy's RandomState(seed), SciPy's truncnorm for BigGAN."""
    random, shape = np.random.RandomState(seed), (num_samples, z_dim)
    if prior == "normal":
        return random.standard_normal(shape).astype(np.float32)
    values = np.asarray(scipy.stats.truncnorm.rvs(-CUT, CUT, size=shape, random_state=random), np.float32)
    return np.float32(truncation_psi) * values


def from_seeds(
    seeds: list[int], z_dim: int, prior: Prior = "normal", truncation_psi: float = 1.0
) -> Float[np.ndarray, "n z"]:
    """One z a seed."""
    return np.concatenate([from_seed(seed, z_dim, 1, prior, truncation_psi) for seed in seeds])


def parse_seeds(texts: list[str]) -> list[int]:
    """Whole numbers from 0 and ranges of them, ["1", "4-6"] -> [1, 4, 5, 6]; raises InputError."""
    seeds = []
    for text in texts:
        match = re.fullmatch(r"\s*(\d+)(?:-(\d+))?\s*", text)
        last = match and int(match[2] or match[1])
        if match is None or last is None or not int(match[1]) <= last < 2**32:  # what NumPy's RandomState takes
            raise InputError(f"--seeds={','.join(texts)}: must be whole numbers from 0, or ranges, such as 1,2,8-11")
        seeds.extend(range(int(match[1]), last + 1))
    return seeds


def labels(key: PRNGKey, indices: Int[Array, "n"], label: Label, num_classes: int) -> Float[Array, "n classes"] | None:
    """The one-hot labels of the samples with these numbers; None for an unconditional generator.

    "all": a class drawn uniformly for each sample, independently of its z, by (key, i) alone.
    """
    if label != "all":
        return one_hot(label, num_classes, len(indices))
    draw = lambda i: jax.random.randint(jax.random.fold_in(jax.random.fold_in(key, i), 1), (), 0, num_classes)  # noqa: E731
    return jax.nn.one_hot(jax.vmap(draw)(indices), num_classes)


def one_hot(label: int | None, num_classes: int, num_samples: int) -> Float[Array, "n classes"] | None:
    """One class for all samples, as a generator takes it; None for an unconditional one."""
    if label is None:
        return None
    return jnp.tile(jax.nn.one_hot(label, num_classes), (num_samples, 1))


def parse_label(text: str | None, class_names: Sequence[str], num_classes: int) -> Label:
    """A class name, a class index or "all" -> what it means for this generator; raises InputError.

    No text: None for an unconditional generator; a conditional one wants a label.
    """
    if not num_classes:
        if text is not None:
            raise InputError(f"--label={text}: this generator is not conditional; leave the flag out")
        return None
    known = f"a class from 0 to {num_classes - 1}, all" + (
        f", or one of {_shortened(class_names)}" if class_names else ""
    )
    if text is None:
        raise InputError(f"--label: this generator is conditional; give {known}")
    if text == "all" or text in class_names:
        return "all" if text == "all" else list(class_names).index(text)
    if text.isdecimal() and int(text) < num_classes:
        return int(text)
    near = difflib.get_close_matches(text, class_names, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}? " if near else ""
    raise InputError(f"--label={text}: {hint}must be {known}")


def _shortened(names: Sequence[str], count: int = 8) -> str:
    return ", ".join(names[:count]) + (", ..." if len(names) > count else "")
