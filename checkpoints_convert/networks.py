"""Finds the networks in a checkpoint: their arrays by name and their arguments.

A network is a state dict, a whole PyTorch module, or a network of NVIDIA's TensorFlow
code. It can lie anywhere in the file, also in the attributes of other objects. If a
file contains a network and its moving average, the moving average comes first.
"""

import collections
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from checkpoints_convert import module_networks, tensorflow_networks
from ganspace_jax.errors import InputError
from ganspace_jax.files.inert import modules
from ganspace_jax.files.inert.records import Record

Arrays = dict[str, np.ndarray]

_MAX_ARRAYS = 10_000  # published networks have hundreds of arrays
_MAX_VISITS = 1_000_000  # of modules and their arrays; published networks have thousands
_VISITS_PER_ARRAY = 5  # because each array of a state dict is compared with all formats
_MAX_NAME = 200  # characters of a network's name; deeper values are not searched
_COUNTER = "n_averaged"  # of torch.optim.swa_utils.AveragedModel, beside the prefix module.
_NESTED = (dict, list, tuple, Record)
_TENSORFLOW = ("G", "D", "Gs")  # the networks of NVIDIA's pickles, in their order


class Network(NamedTuple):
    """One network of a checkpoint.

    Attributes:
        name: Name in the file: "G_ema", "Gs", or the keys and attributes that lead to
            the network, joined by dots. "" if the whole file is one network.
        arrays: Parameters and buffers by name. The names are paths, joined by dots in
            PyTorch's files and by slashes in TensorFlow's.
        arguments: Arguments of the network's constructor, as far as the file contains
            them.
        clamps: Value of conv_clamp by layer, for layers that have one.
        beside: Arrays in the dictionary that contains a state dict.
        class_name: Name of the network's class, for whole networks only.
        foreign: Names of the classes of those parameters that are no arrays, by the
            name of the parameter.
        layers: Classes and settings of PyTorch's own layers by path, for whole modules
            only.
    """

    name: str
    arrays: Arrays
    arguments: Mapping[str, Any] = {}
    clamps: Mapping[str, float | None] = {}
    beside: Mapping[str, np.ndarray] = {}
    class_name: str = ""
    foreign: Mapping[str, str] = {}
    layers: Mapping[str, Mapping[str, Any]] = {}


def find(content: Any, arguments: Mapping[str, Any]) -> tuple[Network, ...]:
    """Returns the networks of a checkpoint, moving averages first.

    Args:
        content: Content of the file.
        arguments: Constructor arguments of networks from state dicts, because a state
            dict contains none.

    Raises:
        InputError: A network is not stored in the way of its kind.
    """
    if isinstance(content, tuple) and len(content) == 3 and tensorflow_networks.is_network(content[2]):
        content = dict(zip(_TENSORFLOW, content, strict=True))
    visits, visited = iter(range(_MAX_VISITS)), set()
    networks: list[Network] = []
    queue = collections.deque([("", content)])
    while queue:
        name, part = queue.popleft()
        for found in _search(part, name, {}, visits):
            if isinstance(found, Network):
                networks.append(found._replace(arguments=dict(arguments)))
            elif id(found[1]) not in visited:
                visited.add(id(found[1]))
                networks += (one for one in _from_record(*found, visits) if one.arrays or one.foreign)
                queue.extend((found[0], value) for value in _inside(found[1]))
    return tuple(sorted(networks, key=lambda network: not _is_average(network.name)))


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


def layout(network: Network) -> Arrays:
    """Returns the arrays, and an empty array for each parameter that is none.

    So the layout of a network can be recognized before it is refused.
    """
    return {**{name: np.zeros(0, np.float32) for name in network.foreign}, **network.arrays}


def refuse_foreign(network: Network) -> None:
    """Raises InputError if a parameter of the network is no array."""
    for name, class_name in network.foreign.items():
        raise InputError(f"parameter {name}: is a {class_name}; only arrays of numbers convert")


def _is_average(name: str) -> bool:
    """Returns whether a name is a moving average's; genforce has generator_smooth."""
    return any(word in name.lower() for word in ("ema", "smooth")) or name.rpartition(".")[2] == "Gs"


def _search(content: Any, name: str, beside: Arrays, visits: Iterator[int]) -> Iterator[Network | tuple[str, Record]]:
    """Yields all dictionaries of arrays in a nested content, and (name, record) of all
    records, the outermost first.

    Args:
        content: Any value. An entry of a list is named by its index.
        name: Keys that lead to `content`, joined by dots.
        beside: Arrays in the dictionary that contains `content`.
        visits: Iterator that yields an item for each visit that is still allowed. An
            array of a state dict is some visits.
    """
    if isinstance(content, Record):
        yield name, content
    if not isinstance(content, dict | list | tuple) or len(name) > _MAX_NAME:
        return
    if not isinstance(content, dict):
        # Arrays in a list have no names, so they are no parameters.
        content = {index: value for index, value in enumerate(content) if isinstance(value, _NESTED)}
    network = _from_state_dict(name, content, beside)
    modules.spend(visits, _VISITS_PER_ARRAY * (len(network.arrays) + len(network.foreign)), name)
    if network.arrays:
        yield network
    for key, value in content.items():
        if isinstance(value, _NESTED):
            yield from _search(value, f"{name}.{key}" if name else str(key), network.arrays, visits)


def _from_state_dict(name: str, content: Mapping[Any, Any], beside: Arrays) -> Network:
    """Returns the arrays of a dictionary, and those of its records that have the name
    of a parameter: it has a dot, and is no extra state.
    """
    # torch.nn.DataParallel adds the prefix.
    entries = {
        str(key).removeprefix("module."): value
        for key, value in content.items()
        if isinstance(value, np.ndarray | Record) and isinstance(key, str | int) and key != _COUNTER
    }
    return Network(
        name,
        {key: value for key, value in entries.items() if isinstance(value, np.ndarray)},
        beside=beside,
        foreign={
            key: str(value.name)
            for key, value in entries.items()
            if isinstance(value, Record) and "." in key and not key.endswith("_extra_state")
        },
    )


def _from_record(name: str, record: Record, visits: Iterator[int]) -> list[Network]:
    """Returns the networks of a record, none if it is no network."""
    if tensorflow_networks.is_network(record):
        found = tensorflow_networks.contents(record, visits)
        name = name if name in _TENSORFLOW else tensorflow_networks.name_of(record) or name
        return [
            Network(name, _few(found.arrays, name), found.arguments, class_name=str(record.name), foreign=found.foreign)
        ]
    if not modules.is_module(record):
        return []
    return [_from_module(*part, visits) for part in module_networks.parts(name, record, visits)]


def _from_module(name: str, module: Record, visits: Iterator[int]) -> Network:
    found = modules.state_dict(module, visits)
    named = {key.removeprefix("module."): value for key, value in found.items()}
    arrays = {key: value for key, value in named.items() if isinstance(value, np.ndarray)}
    foreign = {key: module_networks.class_of(value) for key, value in named.items() if key not in arrays}
    clamps, strange = module_networks.clamps(module, visits)
    layers = {key.removeprefix("module."): value for key, value in module_networks.layers(module, visits).items()}
    return Network(
        name,
        _few(arrays, name),
        module_networks.arguments(module, visits),
        clamps,
        class_name=str(module.name),
        foreign={**foreign, **strange},
        layers=layers,
    )


def _few(arrays: Arrays, name: str) -> Arrays:
    if len(arrays) > _MAX_ARRAYS:
        raise InputError(f"{name}: a network of more than {_MAX_ARRAYS:,} arrays")
    return arrays


def _inside(record: Record) -> Iterator[Any]:
    """Yields the values within a record that can contain networks.

    The tables of a module are left out, because they belong to the module. So are the
    components of a network of TensorFlow.
    """
    if tensorflow_networks.is_network(record):
        return
    if modules.is_module(record):
        yield {
            name: value
            for name, value in record.attributes.items()
            if name not in modules.TABLES and isinstance(value, _NESTED)
        }
        return
    yield from (record.attributes or record.state, record.entries, record.items, record.arguments, record.keywords)
