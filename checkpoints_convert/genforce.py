"""Holds what the converters of genforce's three generators share.

The codes are genforce/genforce, genforce/sefa and genforce/interfacegan. They name the
layers of all their generators `dense0`, `layer0` and `output0`. interfacegan is the
oldest and splits most layers into smaller modules.
"""

import math
import re
from collections.abc import Mapping

import numpy as np

from checkpoints_convert import assembly
from ganspace_jax.errors import InputError

Arrays = Mapping[str, np.ndarray]

NOTE = (
    "not in the file: the published settings lr_mul=0.01 and use_wscale=1 are assumed; if the preview shows no picture "
    "of the training data, give --option=use_wscale=0 or --option=lr_mul=NUMBER"
)

# interfacegan's parts of names, and those of the newer codes.
_OLDER = (
    (".first_layer", ".const"),
    (".epilogue.style_mod.dense", ".style"),
    (".epilogue.", "."),
    (".linear.weight", ".weight"),
    (".conv.weight", ".weight"),
    (".wscale.bias", ".bias"),
)


def newer_names(arrays: Arrays) -> dict[str, np.ndarray]:
    """Returns the arrays under the names of genforce/genforce and genforce/sefa.

    interfacegan stores its truncation factors as well. They have no effect on a latent
    that the user truncates, so they are dropped.
    """
    renamed = {}
    for name, array in arrays.items():
        for older, newer in _OLDER:
            name = name.replace(older, newer)
        renamed[name] = np.asarray(array)
    renamed.pop("truncation.truncation", None)
    return renamed


def flag(options: Mapping[str, float], name: str, default: bool) -> bool:
    """Returns the value of an option that is 0 or 1.

    Raises:
        InputError: The option has another value.
    """
    value = options.get(name, default)
    if value not in (0, 1):
        raise InputError(f"--option={name}={value:g}: must be 0 or 1")
    return bool(value)


def mapping_widths(arrays: Arrays) -> list[tuple[int, ...]]:
    """Returns the shapes of the weights of the mapping layers, which are [out, in].

    Raises:
        InputError: The mapping network has no layer, or a weight has not two axes.
    """
    depth = max(1, 1 + assembly.largest_number(arrays, r"mapping\.dense(\d+)\."))
    return [assembly.shape_of(arrays, f"mapping.dense{layer}.weight", 2) for layer in range(depth)]


def check_one_w(outputs: int, w_dim: int, layer: str) -> None:
    """Raises InputError if the mapping network makes more than one w.

    Args:
        outputs: Number of outputs of the last mapping layer.
        w_dim: Size of w, which is the number of inputs of the style layers.
        layer: Name of the last mapping layer.
    """
    if outputs != w_dim:
        raise InputError(
            f"parameter {layer}.weight: makes {outputs} numbers, but w has {w_dim}; "
            f"only networks with one w for all layers (repeat_w=True) convert"
        )


def mean_latent(array: np.ndarray, w_dim: int) -> np.ndarray:
    """Returns the mean w, which a file stores once or once for each layer.

    Raises:
        InputError: The layers have different means, or the size is no multiple of
            w_dim.
    """
    if not array.size or array.size % w_dim:
        raise InputError(f"parameter truncation.w_avg: has shape {array.shape}, but w has {w_dim} numbers")
    rows = array.reshape(-1, w_dim)
    if not np.array_equal(rows, np.broadcast_to(rows[0], rows.shape)):
        raise InputError(f"parameter truncation.w_avg: has {len(rows)} different rows; only one mean w converts")
    return rows[0]


def mean_or_noise(
    name: str, tensors: assembly.Tensors, w_dim: int, random: np.random.Generator | None
) -> np.ndarray | None:
    """Returns the mean w or a noise image, None for any other parameter of ours.

    A file without a mean w gives zeros, which the caller replaces at the end.

    Args:
        name: Name of our parameter.
        tensors: Arrays of the file.
        w_dim: Size of w.
        random: Source of noise images for a file without them, None for other files.
    """
    if name == "mapping.w_avg":
        has_mean = "truncation.w_avg" in tensors
        return mean_latent(tensors.take("truncation.w_avg") if has_mean else np.zeros(w_dim, np.float32), w_dim)
    if name.endswith("noise_const") and random is not None:
        side = int(name.split(".")[1][1:])
        return random.standard_normal((side, side), np.float32)
    return None


def noise_source(arrays: Arrays) -> np.random.Generator | None:
    """Returns the source of noise images for a file without them, None for other
    files.
    """
    return None if any(name.endswith(".noise") for name in arrays) else np.random.default_rng(0)


def unscaled(array: np.ndarray, gain: float) -> np.ndarray:
    """Returns a weight of a network that was built with use_wscale=False.

    Such a network does not multiply its weights by gain / sqrt(fan in). Our layers do,
    so the weight is divided by this factor.

    Args:
        array: Weight [out, ...].
        gain: Gain of our layer.
    """
    return (array * (math.sqrt(array[0].size) / gain)).astype(np.float32)


def smaller_outputs(arrays: Arrays, prefix: str) -> set[str]:
    """Returns the names of the parameters that make images while a network grows.

    Each resolution has a layer that makes an image. A grown network uses only the last.

    Args:
        arrays: Arrays by name.
        prefix: Name in front of the number, for example "synthesis.output".
    """
    pattern = re.escape(prefix) + r"(\d+)\."
    last = assembly.largest_number(arrays, pattern)
    numbered = ((name, re.match(pattern, name)) for name in arrays)
    return {name for name, match in numbered if match is not None and int(match[1]) < last}


def check_grown(tensors: assembly.Tensors, name: str) -> None:
    """Uses up the level of detail of this name.

    Raises:
        InputError: The network is still growing.
    """
    if name in tensors and (level := float(tensors.take(name).reshape(()))) > 0:
        raise InputError(f"parameter {name}: is {level:g}, so this network is still growing; only grown ones convert")
