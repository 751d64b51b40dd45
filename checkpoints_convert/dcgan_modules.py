"""Compares the layers of a DCGAN's whole module with the tutorial's layers.

A state dict does not show strides, paddings and activations, but a whole module stores
them. A difference would give other images without an error.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from checkpoints_convert.dcgan_layers import Layer
from ganspace_jax.errors import InputError

# Containers, and layers that return their input when a network draws images.
_WITHOUT_EFFECT = ("Sequential", "ModuleList", "ModuleDict", "ParameterList", "Identity", "Flatten", "Unflatten")
_ENDS = ("Dropout", "Dropout1d", "Dropout2d", "Dropout3d", "Loss")  # of classes without effect
_SUPPORTED = ("ConvTranspose2d", "BatchNorm2d", "SyncBatchNorm", "ReLU", "Tanh")
_SETTINGS = {"output_padding": (0, 0), "dilation": (1, 1), "groups": 1, "padding_mode": "zeros"}
_EPSILON = 1e-5  # the default of BatchNorm2d


def check(layers: Mapping[str, Mapping[str, Any]], chain: Sequence[Layer]) -> None:
    """Raises InputError if a layer or one of its settings is not the tutorial's.

    Args:
        layers: Class and settings of PyTorch's own layers by path; empty for a state
            dict.
        chain: Convolutions and batch norms in their order.
    """
    for path, layer in layers.items():
        kind = str(layer["class"])
        if kind not in (*_WITHOUT_EFFECT, *_SUPPORTED) and not kind.endswith(_ENDS):
            raise InputError(
                f"layer {path}: is a {kind}; only DCGANs of transposed convolutions, batch norms, ReLU and Tanh convert"
            )
    for index, layer in enumerate(chain):
        # The first stride has no effect, because the first input is one pixel.
        places = {"padding": (0, 0)} if not index else {"stride": (2, 2), "padding": (1, 1)}
        _compare(layers, layer.convolution, {**_SETTINGS, **places})


def epsilon(layers: Mapping[str, Mapping[str, Any]], chain: Sequence[Layer]) -> float:
    """Returns the constant that all batch norms add to the variance.

    Raises:
        InputError: The batch norms have different constants.
    """
    found = {layers.get(str(layer.norm), {}).get("eps", _EPSILON): layer.norm for layer in chain[:-1]}
    if len(found) > 1:
        listed = " and ".join(f"{value} in {norm}" for value, norm in found.items())
        raise InputError(f"eps: {listed}; only DCGANs with one value convert")
    return float(next(iter(found)))


def _compare(layers: Mapping[str, Mapping[str, Any]], path: str | None, wanted: Mapping[str, Any]) -> None:
    for name, value in wanted.items():
        found = layers.get(str(path), {}).get(name, value)
        if found != value:
            raise InputError(f"layer {path}: has {name}={found}; only DCGANs with {name}={value} convert")
