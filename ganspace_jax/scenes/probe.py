"""The probe: a small convolutional network that reads a scene's factors from its image.

The probe was trained on rendered scenes only, never on generated images. It encodes
each circular factor as (cos, sin) of the factor's angle. It encodes every other
continuous factor as a number in [-1, 1] over the factor's range. The shape has logits.
"""

import dataclasses
import functools
import os
import pathlib
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import lax

from ganspace_jax.errors import InputError
from ganspace_jax.measures.scorers import Scorer
from ganspace_jax.sampling import reading_network
from ganspace_jax.sampling.reading_network import CHANNELS, DENSE_WIDTH, ReadingNetwork, Trained
from ganspace_jax.scenes.chunks import map_chunks
from ganspace_jax.scenes.factors import CIRCULAR, CONTINUOUS, RANGES, SHAPES, Factors, shows_rotation
from ganspace_jax.shapes import Array, Float, PRNGKey

FAMILY = "probe"
SHIPPED = pathlib.Path(__file__).parents[1] / "models" / "scenes-probe"
_CODE_SIZES = {name: 2 if name in CIRCULAR else 1 for name in CONTINUOUS}

Images = Float[Array | np.ndarray, "n h w 3"]


@dataclasses.dataclass(frozen=True)
class Config:
    """Configuration of the network.

    Raises ValueError if the resolution cannot be halved once per entry of `channels`.
    Such a network would lose pixels.

    Attributes:
        resolution: side of the images, pixels.
        channels: channels of the two convolutions at each size, from half the
            resolution downwards.
        dense_width: width of the dense layer after the convolutions.
    """

    resolution: int = 32
    channels: tuple[int, ...] = CHANNELS
    dense_width: int = DENSE_WIDTH

    def __post_init__(self):
        """Checks the resolution."""
        if not self.channels or self.resolution % 2 ** len(self.channels):
            raise ValueError(f"resolution {self.resolution} cannot be halved {len(self.channels)} times")


class Outputs(NamedTuple):
    """Outputs of the network.

    Attributes:
        shape: logits of the shapes, or one-hot shapes of known scenes.
        codes: codes of the continuous factors by name; see `encode_factor`.
    """

    shape: Float[Array, "n shapes"]
    codes: dict[str, Float[Array, "n d"]]


class Network(ReadingNetwork):
    """Network that maps images to Outputs."""

    def __init__(self, config: Config, *, key: PRNGKey):
        self.config = config
        super().__init__(
            (config.resolution, config.resolution, 3),
            len(SHAPES) + sum(_CODE_SIZES.values()),
            channels=config.channels,
            dense_width=config.dense_width,
            key=key,
        )

    def __call__(self, images: Float[Array, "n h w 3"]) -> Outputs:
        ends = np.cumsum([len(SHAPES), *_CODE_SIZES.values()])
        logits, *codes = jnp.split(self.read(images), ends[:-1], axis=-1)
        return Outputs(logits, dict(zip(_CODE_SIZES, codes, strict=True)))


Probe = Trained  # of a Network


def encode_factor(name: str, values: Float[Array, "*n"]) -> Float[Array, "*n d"]:
    """Returns the codes of a factor's values.

    A circular factor's code is (cos, sin) of its angle, with one turn per period. The
    code of any other factor is the value, scaled from its range to [-1, 1].
    """
    low, high = RANGES[name]
    turns = (values - low) / (high - low)
    if name in CIRCULAR:
        return jnp.stack([jnp.cos(2.0 * jnp.pi * turns), jnp.sin(2.0 * jnp.pi * turns)], axis=-1)
    return (2.0 * turns - 1.0)[..., None]


def decode_factor(name: str, code: Float[Array, "*n d"]) -> Float[Array, "*n"]:
    """Returns the values of codes, within the factor's range.

    The length of a (cos, sin) pair has no effect.
    """
    low, high = RANGES[name]
    if name in CIRCULAR:
        turns = jnp.arctan2(code[..., 1], code[..., 0]) / (2.0 * jnp.pi) % 1.0
    else:
        turns = jnp.clip(0.5 * (code[..., 0] + 1.0), 0.0, 1.0)
    return low + turns * (high - low)


def encode(factors: Factors) -> Outputs:
    """Returns the outputs of a perfect probe for these scenes."""
    codes = {name: encode_factor(name, getattr(factors, name)) for name in CONTINUOUS}
    return Outputs(jax.nn.one_hot(factors.shape, len(SHAPES)), codes)


def decode(outputs: Outputs) -> Factors:
    """Returns the factors of the outputs, with the most likely shape."""
    values = {name: decode_factor(name, code) for name, code in outputs.codes.items()}
    return Factors(shape=jnp.argmax(outputs.shape, axis=-1), **values)


@functools.partial(jax.jit, static_argnames=("definition",))
def _read(definition, params, images):
    outputs = nnx.merge(definition, params)(images)
    return decode(outputs), jax.nn.softmax(outputs.shape).max(-1)


def read_factors(probe: Probe, images: Images) -> Factors:
    """Reads the factors of any number of images in [-1, 1].

    Raises:
        InputError: the images do not have the probe's resolution.
    """
    return read_with_certainty(probe, images)[0]


def read_with_certainty(probe: Probe, images: Images) -> tuple[Factors, Float[Array, "n"]]:
    """Reads the factors of images in [-1, 1], and the probabilities of their shapes.

    Raises:
        InputError: the images do not have the probe's resolution.
    """
    side = probe.config.resolution
    if images.ndim != 4 or images.shape[1:] != (side, side, 3):
        raise InputError(f"images: have shape {list(images.shape)}; the probe requires [n, {side}, {side}, 3]")
    return map_chunks(functools.partial(_read, probe.definition, probe.params), jnp.asarray(images, jnp.float32))


def scorer(probe: Probe) -> Scorer:
    """Returns the scorer that reads the factors of scenes with the probe.

    The scales are the standard deviations of the factors' uniform distributions. The
    rotation is NaN for a shape that does not show it.
    """
    widths = [high - low for low, high in RANGES.values()]
    return Scorer(
        names=("shape", *CONTINUOUS),
        scales=np.array([1.0, *(width / np.sqrt(12.0) for width in widths)]),
        periods=(
            None,
            *(width if name in CIRCULAR else None for name, width in zip(CONTINUOUS, widths, strict=True)),
        ),
        categories=("shape",),
        read=functools.partial(_read_values, probe),
        differentiable=functools.partial(_differentiable_values, probe),
    )


def _differentiable_values(probe: Probe, images: Float[Array, "n h w 3"]) -> Float[Array, "n f"]:
    """Returns the factors as columns, for derivatives.

    Factors are not clipped to their ranges, because a clipped value has no derivative.
    The column of the shape is its margin, in logits.
    """
    outputs = probe.network()(images)
    shape, (first, second) = jnp.argmax(outputs.shape, axis=-1), lax.top_k(outputs.shape, 2)[0].T
    columns = {name: _unclipped(name, code) for name, code in outputs.codes.items()}
    columns["rotation"] = jnp.where(shows_rotation(shape), columns["rotation"], jnp.nan)
    return jnp.stack([first - second, *columns.values()], axis=1)


def _unclipped(name: str, code: Float[Array, "n d"]) -> Float[Array, "n"]:
    low, high = RANGES[name]
    return decode_factor(name, code) if name in CIRCULAR else low + 0.5 * (code[:, 0] + 1.0) * (high - low)


def _read_values(probe: Probe, images: Images) -> Float[np.ndarray, "n f"]:
    return factor_values(read_factors(probe, images))


def factor_values(factors: Factors) -> Float[np.ndarray, "n f"]:
    """Returns the factors as columns, as the scorer returns them.

    A rotation is NaN if the shape does not show it.
    """
    columns = {name: np.asarray(getattr(factors, name), np.float64) for name in ("shape", *CONTINUOUS)}
    columns["rotation"] = np.where(shows_rotation(factors.shape), columns["rotation"], np.nan)
    return np.stack(list(columns.values()), axis=1)


def save(directory: str | os.PathLike[str], probe: Probe) -> None:
    """Writes a probe as a checkpoint directory."""
    reading_network.save(directory, probe, FAMILY)


def load(directory: str | os.PathLike[str]) -> Probe:
    """Loads a probe from its checkpoint directory.

    Raises:
        CheckpointError: the directory does not hold a readable probe.
    """
    return reading_network.load(directory, FAMILY, lambda values: Network(Config(**values), key=jax.random.key(0)))
