"""Replaces the parts of normalized weights of transposed convolutions by the weights.

PyTorch's spectral norm stores weight_orig and two vectors, and its weight norm stores a
length and a direction. torch.nn.utils.parametrizations stores the same arrays by other
names.
"""

from collections.abc import Callable, Mapping

import numpy as np

from checkpoints_convert import assembly
from ganspace_jax.errors import InputError

Arrays = Mapping[str, np.ndarray]

# Ends of the names of the arrays that give one weight. The first has its shape.
_SPECTRAL = (
    ("weight_orig", "weight_u", "weight_v"),
    ("parametrizations.weight.original", "parametrizations.weight.0._u", "parametrizations.weight.0._v"),
)
_LENGTHS = (
    ("weight_v", "weight_g"),
    ("parametrizations.weight.original1", "parametrizations.weight.original0"),
)


def renamed(state: Arrays) -> dict[str, np.ndarray]:
    """Returns arrays with the first part of each weight in place of its parts.

    This is enough to tell the layers, and costs no computation.
    """
    return _replaced(state, lambda weight, *_: weight, lambda weight, *_: weight)


def computed(state: Arrays) -> dict[str, np.ndarray]:
    """Returns arrays with each weight in place of its parts.

    Raises:
        InputError: The parts do not fit together.
    """
    return _replaced(state, _divided, _lengthened)


def _replaced(
    state: Arrays, spectral: Callable[..., np.ndarray], lengths: Callable[..., np.ndarray]
) -> dict[str, np.ndarray]:
    """Returns arrays with what the two functions return in place of the parts.

    Args:
        state: Arrays by name.
        spectral: Function (weight, u, v, name) of a spectral norm.
        lengths: Function (direction, length, name) of a weight norm.
    """
    kinds = [*((ends, spectral) for ends in _SPECTRAL), *((ends, lengths) for ends in _LENGTHS)]
    weights: dict[str, tuple[str, np.ndarray]] = {}
    used: set[str] = set()
    for name, array in state.items():
        for ends, make in kinds if np.ndim(array) == 4 else ():
            module = name.removesuffix(ends[0])
            parts = [f"{module}{end}" for end in ends]
            if parts[0] == name and module[-1:] in ("", ".") and all(part in state for part in parts):
                weights[name] = f"{module}weight", make(*(state[part] for part in parts), name)
                used.update(parts)
    return dict(
        weights.get(name, (name, array)) for name, array in state.items() if name in weights or name not in used
    )


def _divided(weight: np.ndarray, u: np.ndarray, v: np.ndarray, name: str) -> np.ndarray:
    """Returns the weight of a spectral norm, whose rows are the outputs: axis 1."""
    outputs = weight.shape[1]
    if u.shape != (outputs,) or v.shape != (weight.size // max(1, outputs),):
        raise InputError(f"parameter {name}: has shape {weight.shape}, its vectors have {u.shape} and {v.shape}")
    return assembly.divide_spectral_norm(weight.swapaxes(0, 1), u, v).swapaxes(0, 1)


def _lengthened(direction: np.ndarray, length: np.ndarray, name: str) -> np.ndarray:
    """Returns the weight of a weight norm: directions of a length each."""
    sides = zip(np.shape(length), direction.shape, strict=False)
    if np.ndim(length) != direction.ndim or any(own not in (1, side) for own, side in sides):
        raise InputError(f"parameter {name}: has shape {direction.shape}, its lengths have {np.shape(length)}")
    axes = tuple(axis for axis in range(direction.ndim) if length.shape[axis] == 1)
    wide = direction.astype(np.float64)
    return (wide * (length / np.sqrt((wide**2).sum(axes, keepdims=True)))).astype(np.float32)
