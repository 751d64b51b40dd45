"""Finds the networks in a checkpoint: their arrays by name and their arguments.

NVIDIA's PyTorch pickles contain trees of modules. NVIDIA's TensorFlow pickles contain
networks with components. Torch files contain state dicts. If a file contains a network
and its moving average, the moving average comes first.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from ganspace_jax.errors import InputError
from ganspace_jax.files.inert import network_pickles

Arrays = dict[str, np.ndarray]

# The positional arguments of NVIDIA's generators, in their order.
_POSITIONAL = ("z_dim", "c_dim", "w_dim", "img_resolution", "img_channels")

_MAX_ARRAYS = 10_000  # published networks have hundreds of arrays


class Network(NamedTuple):
    """One network of a checkpoint.

    Attributes:
        name: Name in the file: "G_ema", "Gs", or the keys of a state dict, joined by
            dots. "" if the whole file is one state dict.
        arrays: Parameters and buffers by name. The names are paths, joined by dots in
            PyTorch's files and by slashes in TensorFlow's.
        arguments: Arguments of the network's constructor, as far as the file contains
            them.
        clamps: Value of conv_clamp by layer, for layers that have one.
        beside: Arrays in the dictionary that contains a state dict.
        class_name: Name of the network's class, in TensorFlow's files only.
    """

    name: str
    arrays: Arrays
    arguments: Mapping[str, Any] = {}
    clamps: Mapping[str, float | None] = {}
    beside: Mapping[str, np.ndarray] = {}
    class_name: str = ""


def find(content: Any, arguments: Mapping[str, Any]) -> tuple[Network, ...]:
    """Returns the networks of a checkpoint, moving averages first.

    Args:
        content: Content of the file.
        arguments: Constructor arguments of networks from state dicts, because a state
            dict contains none.

    Raises:
        InputError: A network is not stored in the way of its kind.
    """
    if isinstance(content, tuple) and len(content) == 3 and isinstance(content[2], network_pickles.Network):
        roots = {"Gs": content[2], "G": content[0]}
        return tuple(
            _from_tensorflow(name, root) for name, root in roots.items() if isinstance(root, network_pickles.Network)
        )
    if not isinstance(content, dict | list | tuple):
        return ()
    networks = _from_modules(content) if isinstance(content, dict) else []
    if not networks:
        networks = [network._replace(arguments=dict(arguments)) for network in _state_dicts(content, "", {})]
    # genforce calls the moving average generator_smooth.
    return tuple(sorted(networks, key=lambda network: not re.search("ema|smooth", network.name.lower())))


def conv_clamp(network: Network) -> float | None:
    """Returns the conv_clamp that all layers of a network have.

    Raises:
        InputError: The layers have different values, or no layer has one.
    """
    layer_by_clamp = {clamp: layer for layer, clamp in network.clamps.items()}
    if not layer_by_clamp:
        raise InputError("conv_clamp: said by no layer; only one for all layers converts")
    if len(layer_by_clamp) > 1:
        values = " and ".join(f"{clamp} in {layer}" for clamp, layer in layer_by_clamp.items())
        raise InputError(f"conv_clamp: {values}; only one for all layers converts")
    return next(iter(layer_by_clamp))


def _state_dicts(content: Any, name: str, beside: Arrays) -> Iterator[Network]:
    """Yields all dictionaries of arrays in a nested content, the outermost first.

    Args:
        content: Dictionary, list or tuple. An entry of a list is named by its index.
        name: Keys that lead to `content`, joined by dots.
        beside: Arrays in the dictionary that contains `content`.
    """
    if not isinstance(content, dict):
        # Arrays in a list have no names, so they are no parameters.
        content = {index: value for index, value in enumerate(content) if not isinstance(value, np.ndarray)}
    arrays = {str(key): value for key, value in content.items() if isinstance(value, np.ndarray)}
    if arrays:
        # torch.nn.DataParallel adds the prefix.
        unprefixed = {key.removeprefix("module."): value for key, value in arrays.items()}
        yield Network(name, unprefixed, beside=beside)
    for key, value in content.items():
        if isinstance(value, dict | list | tuple):
            yield from _state_dicts(value, f"{name}.{key}" if name else str(key), arrays)


def _from_modules(content: Mapping[str, Any]) -> list[Network]:
    """Returns the networks of NVIDIA's PyTorch pickles, which are trees of modules."""
    networks = []
    for name in ("G_ema", "G"):
        module = content.get(name)
        if isinstance(module, network_pickles.PersistentObject):
            networks.append(_from_module(name, module))
    return networks


def _from_module(name: str, root: network_pickles.PersistentObject) -> Network:
    arrays, clamps = {}, {}
    for path, module in _tree(root, "", "_modules", "."):
        for kind in ("_parameters", "_buffers"):
            entries = _dictionary(module.state.get(kind, {}), f"{path}{kind}")
            _add(arrays, path, {key: value for key, value in entries.items() if isinstance(value, np.ndarray)})
        if "conv_clamp" in module.state:
            clamps[path.removesuffix(".")] = _clamp(module.state["conv_clamp"], path)
    return Network(name, arrays, _constructor_arguments(root.state), clamps)


def _constructor_arguments(state: Mapping[str, Any]) -> dict[str, Any]:
    positional = state.get("_init_args", ())
    if not isinstance(positional, tuple | list) or len(positional) > len(_POSITIONAL):
        raise InputError(f"_init_args: not the arguments of a generator, which are {', '.join(_POSITIONAL)}")
    by_name = _dictionary(state.get("_init_kwargs", {}), "_init_kwargs")
    return _plain({**dict(zip(_POSITIONAL, positional, strict=False)), **by_name})


def _from_tensorflow(name: str, root: network_pickles.Network) -> Network:
    """Collects the variables and arguments of a network and of its components.

    The variables of a component are stored under `component/`. If a network and its
    component have different values of an argument, the network's value is used.

    The argument `component_func` names the function that built a component. A network
    contains this argument only if the function is not the default. So the argument is
    added from the component itself.
    """
    arrays, arguments = {}, {}
    for path, network in _tree(root, "", "components", "/"):
        variables = network.state.get("variables", [])
        if not isinstance(variables, list) or not all(map(_is_variable, variables)):
            raise InputError(f"{path}variables: not a list of names and arrays")
        _add(arrays, path, {key: np.asarray(value) for key, value in variables})
        static = _plain(_dictionary(network.state.get("static_kwargs", {}), f"{path}static_kwargs"))
        function = network.state.get("build_func_name")
        if path and isinstance(function, str):
            static[f"{path.removesuffix('/')}_func"] = function
        arguments = {**static, **arguments}
    return Network(name, arrays, arguments, class_name=root.class_name)


def _is_variable(entry: Any) -> bool:
    is_pair = isinstance(entry, tuple | list) and len(entry) == 2 and isinstance(entry[0], str)
    return is_pair and entry[0].isprintable() and isinstance(entry[1], np.ndarray | np.generic)


def _add(arrays: Arrays, path: str, entries: Mapping[str, np.ndarray]) -> None:
    """Adds the arrays of one module or component to those of its network, in place."""
    arrays |= {f"{path}{key}": value for key, value in entries.items()}
    if len(arrays) > _MAX_ARRAYS:
        raise InputError(f"{path}: a network of more than {_MAX_ARRAYS:,} arrays")


def _tree(node: Any, path: str, children: str, separator: str) -> Iterator[tuple[str, Any]]:
    """Yields (path, object) of an object and of all objects below it.

    Args:
        node: Module of a PyTorch pickle, or network of a TensorFlow pickle.
        path: Path of `node`, with `separator` at its end, "" for the root.
        children: Name of the attribute that contains the objects one level below.
        separator: Separator of the names in a path.

    Raises:
        InputError: An object in the tree is neither a module nor a network.
    """
    if not isinstance(node, network_pickles.PersistentObject | network_pickles.Network):
        raise InputError(f"{path or 'the network'}: a {type(node).__name__} where a network belongs")
    yield path, node
    for name, child in _dictionary(node.state.get(children, {}), f"{path}{children}").items():
        if child is not None:
            yield from _tree(child, f"{path}{name}{separator}", children, separator)


def _dictionary(value: Any, name: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise InputError(f"{name}: a {type(value).__name__} where a dictionary belongs")
    return value


def _clamp(value: Any, path: str) -> float | None:
    if value is not None and not isinstance(value, int | float | np.number):
        raise InputError(f"{path}conv_clamp: a {type(value).__name__} where a number belongs")
    return None if value is None else float(value)


def _plain(value: Any) -> Any:
    """Returns a nested value with NumPy's numbers and arrays converted to Python's."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else value
