"""The networks in a checkpoint: arrays by name, and how each was built, whichever way the file keeps them.

NVIDIA's PyTorch pickles hold trees of modules, the TensorFlow ones a network with components, torch files state dicts. Where a
file has a network and its moving average, the moving average comes first.
"""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from ganspace_jax.errors import InputError
from ganspace_jax.files.inert import network_pickles

Arrays = dict[str, np.ndarray]

_POSITIONAL = ("z_dim", "c_dim", "w_dim", "img_resolution", "img_channels")  # of NVIDIA's generators

_MAX_ARRAYS = 10_000  # published networks have hundreds


class Network(NamedTuple):
    """One network of a file.

    name: its own in the file ("G_ema", "Gs", keys of a state dict joined by dots; "" for a file that is one state dict).
    arrays: parameters and buffers; names are joined by dots in PyTorch's files, by slashes in TensorFlow's. arguments: those
    that it was built with, as far as the file says. clamps: conv_clamp of each layer that has one. beside: the arrays that lie
    next to a state dict. class_name: of the object, in TensorFlow's files.
    """

    name: str
    arrays: Arrays
    arguments: Mapping[str, Any] = {}
    clamps: Mapping[str, float | None] = {}
    beside: Mapping[str, np.ndarray] = {}
    class_name: str = ""


def find(content: Any, arguments: Mapping[str, Any]) -> tuple[Network, ...]:
    """The networks of what was read, moving averages first; raises InputError.

    arguments: for state dicts, which have none.
    """
    if isinstance(content, tuple) and len(content) == 3 and isinstance(content[2], network_pickles.Network):
        both = {"Gs": content[2], "G": content[0]}
        return tuple(
            _from_tensorflow(name, root) for name, root in both.items() if isinstance(root, network_pickles.Network)
        )
    if not isinstance(content, dict | list | tuple):
        return ()
    modules = {name: content.get(name) for name in ("G_ema", "G")} if isinstance(content, dict) else {}
    found = [
        _from_module(name, module)
        for name, module in modules.items()
        if isinstance(module, network_pickles.PersistentObject)
    ]
    found = found or [network._replace(arguments=dict(arguments)) for network in _state_dicts(content, "", {})]
    return tuple(sorted(found, key=lambda network: "ema" not in network.name.lower()))


def conv_clamp(network: Network) -> float | None:
    """The one conv_clamp of all layers; raises InputError where they differ, or where none says it."""
    found = {clamp: layer for layer, clamp in network.clamps.items()}
    if len(found) != 1:
        said = " and ".join(f"{clamp} in {layer}" for clamp, layer in found.items())
        raise InputError(f"conv_clamp: {said or 'said by no layer'}; only one for all layers converts")
    return next(iter(found))


def _state_dicts(content: Any, name: str, beside: Arrays) -> Iterator[Network]:
    """All dictionaries of arrays in a dictionary, the outermost first; what lies in a list is called by its number."""
    if not isinstance(content, dict):
        content = {index: value for index, value in enumerate(content) if not isinstance(value, np.ndarray)}
    arrays = {str(key): value for key, value in content.items() if isinstance(value, np.ndarray)}
    if arrays:
        plain = {key.removeprefix("module."): value for key, value in arrays.items()}  # of torch.nn.DataParallel
        yield Network(name, plain, beside=beside)
    for key, value in content.items():
        if isinstance(value, dict | list | tuple):
            yield from _state_dicts(value, f"{name}.{key}" if name else str(key), arrays)


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
    """Variables, those of components under `component/`; and arguments, its own where those of a component differ.

    The function that built a component is the argument `component_func`, which a network names only where it is no default.
    """
    arrays, arguments = {}, {}
    for path, part in _tree(root, "", "components", "/"):
        variables = part.state.get("variables", [])
        if not isinstance(variables, list) or not all(map(_is_variable, variables)):
            raise InputError(f"{path}variables: not a list of names and arrays")
        _add(arrays, path, {key: np.asarray(value) for key, value in variables})
        function = part.state.get("build_func_name")
        own = {f"{path.removesuffix('/')}_func": function} if path and isinstance(function, str) else {}
        static = _plain(_dictionary(part.state.get("static_kwargs", {}), f"{path}static_kwargs"))
        arguments = {**static, **own, **arguments}
    return Network(name, arrays, arguments, class_name=root.class_name)


def _is_variable(entry: Any) -> bool:
    is_pair = isinstance(entry, tuple | list) and len(entry) == 2 and isinstance(entry[0], str)
    return is_pair and entry[0].isprintable() and isinstance(entry[1], np.ndarray | np.generic)


def _add(arrays: Arrays, path: str, more: Mapping[str, np.ndarray]) -> None:
    arrays |= {f"{path}{key}": value for key, value in more.items()}
    if len(arrays) > _MAX_ARRAYS:
        raise InputError(f"{path}: a network of more than {_MAX_ARRAYS:,} arrays")


def _tree(node: Any, path: str, children: str, separator: str) -> Iterator[tuple[str, Any]]:
    """(path, object) of an object and of all below it, which are in its attribute `children`; raises InputError."""
    if not isinstance(node, network_pickles.PersistentObject | network_pickles.Network):
        raise InputError(f"{path or 'the network'}: a {type(node).__name__} where a network belongs")
    yield path, node
    for name, child in _dictionary(node.state.get(children, {}), f"{path}{children}").items():
        if child is not None:
            yield from _tree(child, f"{path}{name}{separator}", children, separator)


def _dictionary(value: Any, what: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise InputError(f"{what}: a {type(value).__name__} where a dictionary belongs")
    return value


def _clamp(value: Any, path: str) -> float | None:
    if value is not None and not isinstance(value, int | float | np.number):
        raise InputError(f"{path}conv_clamp: a {type(value).__name__} where a number belongs")
    return None if value is None else float(value)


def _plain(value: Any) -> Any:
    """NumPy's numbers and arrays as Python's, wherever they are."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else value
