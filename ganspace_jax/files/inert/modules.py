"""Finds the arrays in the records of whole PyTorch modules.

A module stores its arrays in the dictionaries `_parameters` and `_buffers`, and the
modules below it in `_modules`. The names here equal the names in its state_dict().
"""

import itertools
from collections.abc import Iterator
from typing import Any, TypeGuard

from ganspace_jax.errors import InputError
from ganspace_jax.files.inert import limits
from ganspace_jax.files.inert.records import Record

TABLES = ("_parameters", "_buffers", "_modules")

_MAX_PATH = 1000  # characters; published networks have 50
_LETTERS_PER_VISIT = 64  # of the path of an entry, which each entry repeats
_LAYERS = "torch.nn.modules."  # beginning of the names of PyTorch's own layers and containers


def is_module(value: Any) -> TypeGuard[Record]:
    """Returns whether a value is the record of a module."""
    return isinstance(value, Record) and any(isinstance(value.attributes.get(table), dict) for table in TABLES)


def tree(root: Record, visits: Iterator[int], path: str = "", level: int = 0) -> Iterator[tuple[str, Any]]:
    """Yields (path, value) of a module and of all values in the `_modules` below it.

    A path is a dotted name with a dot at its end, or "" for the root.

    Args:
        root: Record of a module.
        visits: Iterator that yields an item for each visit that is still allowed. An
            entry of a module is one visit.
        path: Path of `root`.
        level: Number of modules around `root`.

    Raises:
        InputError: The visits are used up, or the modules are nested too deeply.
    """
    if level > limits.MAX_DEPTH or len(path) > _MAX_PATH:
        raise InputError(f"{path[:100]}: modules that are nested too deeply")
    spend(visits, cost(root) * visits_of(path), path)
    yield path, root
    for name, child in (children(root) if is_module(root) else {}).items():
        yield from tree(child, visits, f"{path}{name}.", level + 1)


def visits_of(path: str) -> int:
    """Returns the number of visits of an entry, which has a copy of the path."""
    return 1 + len(path) // _LETTERS_PER_VISIT


def spend(visits: Iterator[int], count: int, path: str) -> None:
    """Uses up visits; raises InputError if fewer than `count` are left.

    A module in several places is visited in each of them. So modules within modules can
    have many more visits than the file has bytes.
    """
    if sum(1 for _ in itertools.islice(visits, count)) < count:
        raise InputError(f"{path[:100] or 'the network'}: contains too many modules and arrays")


def cost(module: Any) -> int:
    """Returns the number of entries of a module, and of merged attributes."""
    if not is_module(module):
        return 1
    is_merged = not isinstance(module.state, dict)
    return 1 + sum(len(_table(module, table)) for table in TABLES) + (len(module.attributes) if is_merged else 0)


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
