"""The probe: a small convolutional network that reads the factors of a procedural scene back from its image.

It is trained on rendered scenes alone and never sees a generator. Each circular factor is read as (cos, sin) of its
angle, each other continuous factor as a number in [-1, 1] over its range, the shape as logits.
"""

import dataclasses
import functools
import math
import os
import pathlib
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx

from ganspace_jax.errors import InputError
from ganspace_jax.files import checkpoints
from ganspace_jax.generators import ops
from ganspace_jax.scenes import rendering as scenes
from ganspace_jax.shapes import Array, Bool, Float, Int, PRNGKey

FAMILY = "probe"
SHIPPED = pathlib.Path(__file__).parents[1] / "models" / "scenes-probe"
CHUNK = 256
_SHOWS_ROTATION = np.isin(scenes.SHAPES, scenes.SHOWS_ROTATION)
_CODE_SIZES = {name: 2 if name in scenes.CIRCULAR else 1 for name in scenes.CONTINUOUS}

Images = Float[Array | np.ndarray, "n h w 3"]


@dataclasses.dataclass(frozen=True)
class Config:
    """channels: of the two convolutions at each size, from half the resolution down; dense_width: of what follows."""

    resolution: int = 32
    channels: tuple[int, ...] = (48, 96, 128)
    dense_width: int = 160

    def __post_init__(self):
        """A size that cannot be halved so often would lose pixels."""
        if not self.channels or self.resolution % 2 ** len(self.channels):
            raise ValueError(f"resolution {self.resolution} cannot be halved {len(self.channels)} times")


class Outputs(NamedTuple):
    """shape: logits, or one-hot for a known scene; codes: see `encode_factor`, by the factor's name."""

    shape: Float[Array, "n shapes"]
    codes: dict[str, Float[Array, "n d"]]


class Layer(nnx.Module):
    """A convolution or a matrix, by the number of dimensions of its weight, with He's initialisation and a bias."""

    def __init__(self, *shape: int, key: PRNGKey, gain: float = math.sqrt(2)):
        self.weight = nnx.Param(jax.random.normal(key, shape) * (gain / math.sqrt(math.prod(shape[:-1]))))
        self.bias = nnx.Param(jnp.zeros(shape[-1], jnp.float32))

    def __call__(self, x: Float[Array, "n *i"]) -> Float[Array, "n *o"]:
        weight = self.weight[...]
        y = ops.conv2d(x, weight) if weight.ndim == 4 else ops.linear(x, weight)
        return y + self.bias[...]


class Probe(nnx.Module):
    """Images -> Outputs. The last map is flattened, not averaged: where things are is what is asked."""

    def __init__(self, config: Config, *, key: PRNGKey):
        self.config = config
        keys = iter(jax.random.split(key, 2 * len(config.channels) + 2))
        before = 4 * 3  # of the 2x2 pixels that become one
        for i, channels in enumerate(config.channels):
            setattr(self, f"conv{i}a", Layer(3, 3, before, channels, key=next(keys)))
            setattr(self, f"conv{i}b", Layer(3, 3, channels, channels, key=next(keys)))
            before = channels
        last = config.resolution // 2 ** len(config.channels)
        num_outputs = len(scenes.SHAPES) + sum(_CODE_SIZES.values())
        self.dense = Layer(last * last * before, config.dense_width, key=next(keys))
        self.head = Layer(config.dense_width, num_outputs, key=next(keys), gain=0.1)

    def __call__(self, images: Float[Array, "n h w 3"]) -> Outputs:
        x = _space_to_depth(images)
        for i in range(len(self.config.channels)):
            x = ops.leaky_relu(getattr(self, f"conv{i}a")(x if i == 0 else _halve(x)))
            x = ops.leaky_relu(getattr(self, f"conv{i}b")(x))
        features = ops.leaky_relu(self.dense(x.reshape(len(x), -1)))
        ends = np.cumsum([len(scenes.SHAPES), *_CODE_SIZES.values()])
        logits, *codes = jnp.split(self.head(features), ends[:-1], axis=-1)
        return Outputs(logits, dict(zip(_CODE_SIZES, codes, strict=True)))


def _space_to_depth(x: Float[Array, "n h w c"]) -> Float[Array, "n h2 w2 d"]:
    """Halves the size and keeps every pixel: a plain convolution after it does the work of a larger one of stride 2."""
    n, height, width, channels = x.shape
    x = x.reshape(n, height // 2, 2, width // 2, 2, channels).transpose(0, 1, 3, 2, 4, 5)
    return x.reshape(n, height // 2, width // 2, 4 * channels)


def _halve(x: Float[Array, "n h w c"]) -> Float[Array, "n h2 w2 c"]:
    n, height, width, channels = x.shape
    return x.reshape(n, height // 2, 2, width // 2, 2, channels).max((2, 4))


class SplitProbe(NamedTuple):
    """A probe as jit likes it: a hashable definition and a plain nested dict of arrays."""

    definition: nnx.GraphDef
    params: dict[str, Any]

    def merge(self) -> Probe:
        """The module again; cheap, and meant for use inside a jitted function."""
        return nnx.merge(self.definition, self.params)


def split(probe: Probe) -> SplitProbe:
    """Takes the module apart; see SplitProbe."""
    definition, state = nnx.split(probe)
    return SplitProbe(definition, nnx.to_pure_dict(state))


def shows_rotation(shape: Int[Array, "*n"]) -> Bool[Array, "*n"]:
    """Whether turning the object changes the image."""
    return jnp.asarray(_SHOWS_ROTATION)[shape]


def encode_factor(name: str, values: Float[Array, "*n"]) -> Float[Array, "*n d"]:
    """(cos, sin) of a circular factor's angle, one turn a period; any other factor scaled from its range to [-1, 1]."""
    low, high = scenes.RANGES[name]
    turns = (values - low) / (high - low)
    if name in scenes.CIRCULAR:
        return jnp.stack([jnp.cos(2.0 * jnp.pi * turns), jnp.sin(2.0 * jnp.pi * turns)], axis=-1)
    return (2.0 * turns - 1.0)[..., None]


def decode_factor(name: str, code: Float[Array, "*n d"]) -> Float[Array, "*n"]:
    """The value of a code, within the factor's range; the length of a (cos, sin) pair does not matter."""
    low, high = scenes.RANGES[name]
    if name in scenes.CIRCULAR:
        turns = jnp.arctan2(code[..., 1], code[..., 0]) / (2.0 * jnp.pi) % 1.0
    else:
        turns = jnp.clip(0.5 * (code[..., 0] + 1.0), 0.0, 1.0)
    return low + turns * (high - low)


def encode(factors: scenes.Factors) -> Outputs:
    """What a perfect probe says of these scenes."""
    codes = {name: encode_factor(name, getattr(factors, name)) for name in scenes.CONTINUOUS}
    return Outputs(jax.nn.one_hot(factors.shape, len(scenes.SHAPES)), codes)


def decode(outputs: Outputs) -> scenes.Factors:
    """The factors that the outputs stand for; of the shapes, the most likely one."""
    values = {name: decode_factor(name, code) for name, code in outputs.codes.items()}
    return scenes.Factors(shape=jnp.argmax(outputs.shape, axis=-1), **values)


def loss(outputs: Outputs, factors: scenes.Factors) -> tuple[Float[Array, ""], dict[str, Float[Array, ""]]]:
    """Cross-entropy of the shape plus the unexplained share of each factor's variance; the sum, and its terms by name.

    The rotation counts only where it shows.
    """
    targets = encode(factors)
    terms = {"shape": optax.softmax_cross_entropy(outputs.shape, targets.shape).mean()}
    for name, code in outputs.codes.items():
        error = jnp.sum(jnp.square(code - targets.codes[name]), axis=-1)
        weight = jnp.where(shows_rotation(factors.shape) | (name != "rotation"), 1.0, 0.0)
        variance = 1.0 if name in scenes.CIRCULAR else 1.0 / 3.0  # of a uniform angle's pair; of a uniform number
        terms[name] = jnp.sum(weight * error) / jnp.maximum(weight.sum(), 1.0) / variance
    return sum(terms.values(), start=jnp.zeros((), jnp.float32)), terms


def accuracy(true: scenes.Factors, read: scenes.Factors) -> dict[str, float]:
    """R2 of each continuous factor, of circular ones that of the (cos, sin) pair, and the share of shapes read right.

    The rotation is judged on the shapes that show it.
    """
    result = {"shape": float(np.mean(np.asarray(true.shape) == np.asarray(read.shape)))}
    shows = np.asarray(shows_rotation(true.shape))
    for name in scenes.CONTINUOUS:
        keep = shows if name == "rotation" else slice(None)
        wanted, found = (np.asarray(encode_factor(name, getattr(f, name)), np.float64)[keep] for f in (true, read))
        result[name] = float(1.0 - np.sum((wanted - found) ** 2) / np.sum((wanted - wanted.mean(0)) ** 2))
    return result


def in_chunks(function: Callable[[Any], Any], arrays: Any, size: int = CHUNK) -> Any:
    """Applies a batched function to trees of arrays `size` rows at a time; zeros fill the last, so it compiles once."""
    arrays = jax.tree.map(np.asarray, arrays)
    num_rows = len(jax.tree.leaves(arrays)[0])

    def cut(x, start):
        piece = x[start : start + size]
        return np.concatenate([piece, np.zeros((size - len(piece), *x.shape[1:]), x.dtype)])

    pieces = []
    for start in range(0, max(num_rows, 1), size):
        done = function(jax.tree.map(functools.partial(cut, start=start), arrays))
        pieces.append(jax.tree.map(lambda y, kept=num_rows - start: np.asarray(y)[:kept], done))
    return jax.tree.map(lambda *parts: jnp.asarray(np.concatenate(parts)), *pieces)


@functools.partial(jax.jit, static_argnames=("definition",))
def _read(definition, params, images):
    outputs = nnx.merge(definition, params)(images)
    return decode(outputs), jax.nn.softmax(outputs.shape).max(-1)


def read_factors(probe: SplitProbe, images: Images) -> scenes.Factors:
    """The factors of any number of images in [-1, 1], as the probe sees them; raises InputError for another size."""
    return read_with_certainty(probe, images)[0]


def read_with_certainty(probe: SplitProbe, images: Images) -> tuple[scenes.Factors, Float[Array, "n"]]:
    """The same, and the probability that the probe gives to each image's shape."""
    side = probe.merge().config.resolution
    if images.ndim != 4 or images.shape[1:] != (side, side, 3):
        raise InputError(f"images: the probe reads [n, {side}, {side}, 3], these are {list(images.shape)}")
    return in_chunks(functools.partial(_read, probe.definition, probe.params), jnp.asarray(images, jnp.float32))


_render = jax.jit(scenes.render, static_argnames=("resolution", "supersampling"))


def render_scenes(factors: scenes.Factors, resolution: int, supersampling: int) -> Float[Array, "n h w 3"]:
    """Renders any number of scenes, a chunk at a time."""
    return in_chunks(functools.partial(_render, resolution=resolution, supersampling=supersampling), factors)


def save(directory: str | os.PathLike[str], probe: SplitProbe) -> None:
    """Writes a probe as a checkpoint directory."""
    config = {"family": FAMILY, **dataclasses.asdict(probe.merge().config)}
    checkpoints.save_arrays(directory, probe.params, config)


def load(directory: str | os.PathLike[str]) -> SplitProbe:
    """Loads a probe from its checkpoint directory; raises CheckpointError."""
    entry = dict(checkpoints.load_config(directory))
    family = entry.pop("family")
    if family != FAMILY:
        raise checkpoints.CheckpointError(f"{directory}: holds a {family!r}, not a probe")
    try:
        values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in entry.items()}
        config = Config(**values)
        abstract = jax.eval_shape(lambda: split(Probe(config, key=jax.random.key(0))))
    except (TypeError, ValueError) as error:
        raise checkpoints.CheckpointError(f"{directory}: config.json: {str(error).splitlines()[0]}") from None
    arrays = checkpoints.load_arrays(directory, abstract.params)
    return SplitProbe(abstract.definition, jax.tree.map(jnp.asarray, arrays))


@dataclasses.dataclass(frozen=True)
class Recipe:
    """How to train: Adam, the learning rate rising over the first twentieth, then falling along a cosine to nothing."""

    num_images: int = 400_000
    batch_size: int = 128
    learning_rate: float = 2e-3

    @property
    def num_steps(self) -> int:
        """Steps in num_images."""
        return -(-self.num_images // self.batch_size)

    def optimizer(self) -> optax.GradientTransformation:
        """Adam with the schedule."""
        rate = optax.warmup_cosine_decay_schedule(
            0.0, self.learning_rate, max(1, self.num_steps // 20), max(2, self.num_steps)
        )
        return optax.adam(rate)


class TrainState(NamedTuple):
    """All that training changes."""

    step: Array
    params: dict[str, Any]
    optimizer: optax.OptState


def init(probe: Probe, recipe: Recipe) -> tuple[nnx.GraphDef, TrainState]:
    """The state before the first step."""
    definition, params = split(probe)
    return definition, TrainState(jnp.zeros((), jnp.int32), params, recipe.optimizer().init(params))


@functools.partial(jax.jit, static_argnames=("definition", "recipe", "render"), donate_argnames=("state",))
def update(
    definition: nnx.GraphDef,
    recipe: Recipe,
    render: Callable[[scenes.Factors], Array],
    state: TrainState,
    key: PRNGKey,
) -> tuple[TrainState, dict[str, Float[Array, ""]]]:
    """One step on freshly drawn scenes; the terms of the loss by name."""
    factors = scenes.sample_factors(jax.random.fold_in(key, state.step), recipe.batch_size)
    # The barrier keeps XLA from fusing the renderer into each of the images' consumers, where it would run again.
    images = jax.lax.optimization_barrier(render(factors))
    compute = lambda params: loss(nnx.merge(definition, params)(images), factors)  # noqa: E731
    grads, terms = jax.grad(compute, has_aux=True)(state.params)
    updates, optimizer = recipe.optimizer().update(grads, state.optimizer, state.params)
    params: Any = optax.apply_updates(state.params, updates)
    return TrainState(state.step + 1, params, optimizer), terms
