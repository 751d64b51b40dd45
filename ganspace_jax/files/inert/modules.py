"""Finds the arrays in the records of whole PyTorch modules.

A module stores its arrays in the dictionaries `_parameters` and `_buffers`, and the
modules below it in `_modules`. The names here equal the names in its state_dict().
"""

from collections.abc import Iterator
from typing import Any, TypeGuard

from ganspace_jax.errors import InputError
from ganspace_jax.files.inert import limits
from ganspace_jax.files.inert.records import Record

TABLES = ("_parameters", "_buffers", "_modules")

_LAYERS = "torch.nn.modules."  # beginning of the names of PyTorch's own layers and containers


def is_module(value: Any) -> TypeGuard[Record]:
    """Returns whether a value is the record of a module."""
    return isinstance(value, Record) and any(isinstance(value.attributes.get(table), dict) for table in TABLES)


def tree(root: Record, visits: Iterator[int], path: str = "", level: int = 0) -> Iterator[tuple[str, Any]]:
    """Yields (path, value) of a module and of all values in the `_modules` below it.

    A path is a dotted name with a dot at its end, or "" for the root.

    Args:
        root: Record of a module.
        visits: Iterator that yields an item for each visit that is still allowed.
        path: Path of `root`.
        level: Number of modules around `root`.

    Raises:
        InputError: The visits are used up, or the modules are nested too deeply.
    """
    if level > limits.MAX_DEPTH or next(visits, None) is None:
        raise InputError(f"{path[:100]}: modules that are too many, or nested too deeply")
    yield path, root
    for name, child in (children(root) if is_module(root) else {}).items():
        yield from tree(child, visits, f"{path}{name}.", level + 1)


def children(module: Record) -> dict[str, Any]:
    """Returns the values directly below a module by name, except None."""
    below = _table(module, "_modules")
    return {name: value for name, value in below.items() if isinstance(name, str) and value is not None}


def state_dict(root: Record, visits: Iterator[int]) -> dict[str, Any]:
    """Returns the parameters and persistent buffers by dotted name.

    A value is an array, or what the file contains in its place. A value in `_modules`
    that is no module has its own path.

    Args:
        root: Record of a module.
        visits: Iterator that yields an item for each visit that is still allowed.
    """
    found: dict[str, Any] = {}
    for path, module in tree(root, visits):
        if not is_module(module):
            found[path.removesuffix(".")] = module
            continue
        skipped = module.attributes.get("_non_persistent_buffers_set")
        skipped = skipped if isinstance(skipped, set | frozenset) else ()
        buffers = {name: value for name, value in _table(module, "_buffers").items() if name not in skipped}
        entries = {**_table(module, "_parameters"), **buffers}
        found |= {
            f"{path}{name}": value for name, value in entries.items() if isinstance(name, str) and value is not None
        }
    return found


def has_own_class(module: Record) -> bool:
    """Returns whether a module's class is none of PyTorch's layers and containers."""
    return not module.name.module.startswith(_LAYERS)


def _table(module: Record, name: str) -> dict[Any, Any]:
    table = module.attributes.get(name)
    return table if isinstance(table, dict) else {}
