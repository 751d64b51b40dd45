"""Reads the networks of NVIDIA's TensorFlow pickles, which contain components.

The class of a network is dnnlib.tflib.network.Network or its predecessor
tfutil.Network.
"""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from ganspace_jax.errors import InputError
from ganspace_jax.files.inert import limits, modules
from ganspace_jax.files.inert.records import Record

_CLASS = "Network"


class Contents(NamedTuple):
    """The contents of a network and of its components.

    Attributes:
        arrays: Variables by name, with those of a component under `component/`.
        foreign: Names of the classes of variables that are no arrays, by name.
        arguments: Arguments of the functions that built the network.
    """

    arrays: dict[str, np.ndarray]
    foreign: dict[str, str]
    arguments: dict[str, Any]


def is_network(value: Any) -> bool:
    """Returns whether a value is the record of a network of TensorFlow."""
    return isinstance(value, Record) and value.name.name == _CLASS and "variables" in value.attributes


def name_of(network: Record) -> str:
    """Returns the network's own name, such as Gs, or "" if it has none."""
    name = network.attributes.get("name")
    return name if isinstance(name, str) and name.isprintable() and len(name) <= limits.MAX_NAME else ""


def contents(root: Record, visits: Iterator[int]) -> Contents:
    """Collects the variables and arguments of a network and of its components.

    If a network and its component have different values of an argument, the network's
    value is used.

    The argument `component_func` names the function that built a component. A network
    contains this argument only if the function is not the default. So the argument is
    added from the component itself.

    Args:
        root: Record of a network.
        visits: Iterator that yields an item for each visit that is still allowed.

    Raises:
        InputError: A network is not stored in the way of its kind.
    """
    found = Contents({}, {}, {})
    for path, network in _tree(root, visits, "", 0):
        attributes = network.attributes
        variables = attributes.get("variables", [])
        if not isinstance(variables, list) or not all(map(_is_variable, variables)):
            raise InputError(f"{path}variables: not a list of names and arrays")
        for name, value in variables:
            if isinstance(value, Record):
                found.foreign[f"{path}{name}"] = str(value.name)
            else:
                found.arrays[f"{path}{name}"] = np.asarray(value)
        modules.spend(visits, len(variables) * modules.visits_of(path), path)
        static = plain(dictionary(attributes.get("static_kwargs", {}), f"{path}static_kwargs"), visits)
        function = attributes.get("build_func_name")
        if path and isinstance(function, str):
            static[f"{path.removesuffix('/')}_func"] = function
        for name, value in static.items():
            found.arguments.setdefault(name, value)
    return found


def _is_variable(entry: Any) -> bool:
    is_pair = isinstance(entry, tuple | list) and len(entry) == 2 and isinstance(entry[0], str)
    return is_pair and entry[0].isprintable() and isinstance(entry[1], np.ndarray | np.generic | Record)


def _tree(node: Any, visits: Iterator[int], path: str, level: int) -> Iterator[tuple[str, Record]]:
    """Yields (path, network) of a network and of all components below it.

    Raises:
        InputError: A component is no record, or the components are nested too deeply.
    """
    if not isinstance(node, Record):
        raise InputError(f"{path or 'the network'}: a {type(node).__name__} where a network belongs")
    if level > limits.MAX_DEPTH:
        raise InputError(f"{path[:100]}: components that are nested too deeply")
    modules.spend(visits, modules.visits_of(path), path)
    yield path, node
    for name, child in dictionary(node.attributes.get("components", {}), f"{path}components").items():
        if child is not None:
            yield from _tree(child, visits, f"{path}{name}/", level + 1)


def dictionary(value: Any, name: str) -> Mapping[str, Any]:
    """Returns a value that is a dictionary; raises InputError for another one."""
    if not isinstance(value, dict):
        raise InputError(f"{name}: a {type(value).__name__} where a dictionary belongs")
    return value


def plain(value: Any, visits: Iterator[int]) -> Any:
    """Returns a nested value with NumPy's numbers and arrays converted to Python's.

    Each value is one visit, and each number of an array. Long texts are more visits.
    """
    count = value.size + value.nbytes // 64 if isinstance(value, np.ndarray | np.generic) else 1
    modules.spend(visits, count, "arguments")
    if isinstance(value, dict):
        return {key: plain(item, visits) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item, visits) for item in value]
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else value
