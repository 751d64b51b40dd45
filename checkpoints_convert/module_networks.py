"""Reads the arguments of whole PyTorch modules, and finds the networks within them.

NVIDIA's modules store their constructor's arguments. Modules of a plain class have
attributes of the same names.
"""

import re
from collections.abc import Iterator
from typing import Any

import numpy as np

from checkpoints_convert.tensorflow_networks import plain
from ganspace_jax.files.inert import modules
from ganspace_jax.files.inert.records import Record

# The positional arguments of NVIDIA's generators, in their order.
_POSITIONAL = ("z_dim", "c_dim", "w_dim", "img_resolution", "img_channels")

_MAX_LEVELS = 3  # modules around a network
_GENERATOR = re.compile(r"(net)?_?g(en|enerator)?(_?ema|_?avg)?", re.IGNORECASE)  # name of a generator


def parts(name: str, root: Record, visits: Iterator[int], level: int = 0) -> list[tuple[str, Record]]:
    """Returns (name, module) of a module and of those modules within it that can be
    networks themselves.

    These modules have a class of their own, and modules below them. A module comes
    before the modules within it. There are two exceptions. A module with the name of a
    generator comes before the module around it. So does the only one, if the module
    around it adds single numbers only, as a moving average does.

    Args:
        name: Name of `root`.
        root: Record of a module.
        visits: Iterator that yields an item for each visit that is still allowed.
        level: Number of modules around `root`.
    """
    if level == _MAX_LEVELS or _stores_arguments(root):
        return [(name, root)]
    children = modules.children(root)
    modules.spend(visits, sum(map(modules.cost, children.values())), name)
    within = {
        child_name: child
        for child_name, child in children.items()
        if modules.is_module(child) and modules.has_own_class(child) and modules.children(child)
    }
    found = []
    for child_name in sorted(within, key=lambda child_name: not _GENERATOR.fullmatch(child_name)):
        found += parts(f"{name}.{child_name}" if name else child_name, within[child_name], visits, level + 1)
    is_around = any(map(_GENERATOR.fullmatch, within)) or (
        len(within) == 1 and _adds_numbers_only(root, f"{next(iter(within))}.", visits)
    )
    return [*found, (name, root)] if is_around else [(name, root), *found]


def _stores_arguments(module: Record) -> bool:
    return not {"_init_args", "_init_kwargs", "img_resolution"}.isdisjoint(module.attributes)


def _adds_numbers_only(root: Record, prefix: str, visits: Iterator[int]) -> bool:
    """Returns whether the arrays outside of one child have a single number each."""
    arrays = modules.state_dict(root, visits)
    return all(np.size(value) == 1 for name, value in arrays.items() if not name.startswith(prefix))


def class_of(value: Any) -> str:
    """Returns the name of the class of a value in a file."""
    return str(value.name) if isinstance(value, Record) else type(value).__name__


def clamps(root: Record, visits: Iterator[int]) -> tuple[dict[str, float | None], dict[str, str]]:
    """Returns conv_clamp by layer, and the names of the classes of clamps that are no
    numbers.
    """
    found: dict[str, float | None] = {}
    strange: dict[str, str] = {}
    for path, module in modules.tree(root, visits):
        if not modules.is_module(module) or "conv_clamp" not in module.attributes:
            continue
        value = module.attributes["conv_clamp"]
        if value is None or isinstance(value, int | float | np.number):
            found[path.removesuffix(".")] = None if value is None else float(value)
        else:
            strange[f"{path}conv_clamp"] = class_of(value)
    return found, strange


def layers(root: Record, visits: Iterator[int]) -> dict[str, dict[str, Any]]:
    """Returns PyTorch's own layers below a module, by path: the name of each class as
    "class", and its attributes that are numbers, texts or tuples.
    """
    return {
        path.removesuffix("."): {
            **{
                name: value for name, value in module.attributes.items() if isinstance(value, int | float | str | tuple)
            },
            "class": module.name.name,
        }
        for path, module in modules.tree(root, visits)
        if modules.is_module(module) and not modules.has_own_class(module)
    }


def arguments(module: Record, visits: Iterator[int]) -> dict[str, Any]:
    """Returns the constructor's arguments by name, as far as the file contains them."""
    attributes = module.attributes
    if "_init_args" in attributes or "_init_kwargs" in attributes:
        positional, by_name = attributes.get("_init_args", ()), attributes.get("_init_kwargs", {})
        positional = positional if isinstance(positional, tuple | list) else ()
        names = [*_POSITIONAL, *(f"number {index + 1}" for index in range(len(_POSITIONAL), len(positional)))]
        by_name = by_name if isinstance(by_name, dict) else {}
        return plain({**dict(zip(names, positional, strict=False)), **by_name}, visits)
    config = attributes.get("config")
    if isinstance(config, Record):
        return plain(dict(config.attributes), visits)
    found = {name: attributes[name] for name in _POSITIONAL if name in attributes}
    return plain({**found, **_mapping_arguments(module)} if len(found) == len(_POSITIONAL) else found, visits)


def _mapping_arguments(module: Record) -> dict[str, Any]:
    """Returns the argument mapping_kwargs of NVIDIA's generators, from the attributes
    of the mapping network and of its first layer.
    """
    mapping = modules.children(module).get("mapping")
    if not modules.is_module(mapping):
        return {}
    first = modules.children(mapping).get("fc0")
    found = {"num_layers": mapping.attributes.get("num_layers")}
    if modules.is_module(first):
        found["lr_multiplier"] = first.attributes.get("bias_gain")  # the layer stores the multiplier by this name
    return {"mapping_kwargs": {name: value for name, value in found.items() if value is not None}}
