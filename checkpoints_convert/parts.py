"""Finds networks within a flat state dict, where names begin with a module's path.

A checkpoint of encoder4editing, pSp or ReStyle contains encoder.* and decoder.* in one
dictionary. Lightning stores generator.* and discriminator.* in one dictionary. Such a
state dict is no network by itself, but a part of it is one.
"""

import collections
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from typing import Any

from checkpoints_convert import dcgan_layers, networks
from checkpoints_convert.networks import Arrays, Network

MAX_DEPTH = 4  # modules in the path of a part; published files have at most three

IsNetwork = Callable[[Network, Set[str]], bool]
FormatsOf = Callable[[Arrays], Sequence[str]]


def with_parts(found: Iterable[Network], formats_of: FormatsOf) -> tuple[Network, ...]:
    """Returns networks, and the parts of state dicts that are no network themselves.

    A whole comes before its parts. Moving averages come first.

    Args:
        found: State dicts and networks of a file.
        formats_of: Returns the names of the formats that arrays have.
    """

    def is_network(part: Network, modules: Set[str]) -> bool:
        names = formats_of(networks.layout(part))
        # A module beside a chain of convolutions could be a layer of it.
        return bool(names) and (names != ["dcgan"] or dcgan_layers.is_generator_name(part.name, modules))

    everything = []
    for network in found:
        everything.append(network)
        if not formats_of(networks.layout(network)):
            everything += find(network, is_network)
    return tuple(sorted(everything, key=_average_rank))


def find(whole: Network, is_network: IsNetwork, depth: int = MAX_DEPTH) -> Iterator[Network]:
    """Yields the parts of a state dict that are networks; their paths name them.

    A part that is a network is not searched further. Arrays beside a part's module stay
    beside the part, so that a mean w is found there.

    Args:
        whole: State dict that is no network by itself.
        is_network: Whether a part is a network; its second argument contains the names
            of the modules at its place.
        depth: Largest number of modules in the path of a part.
    """
    modules, clamps = _by_module(whole.arrays), _by_module(whole.clamps)
    foreign, layers = _by_module(whole.foreign), _by_module(whole.layers)
    # A ChainMap copies nothing, and a hostile file can have very many parts.
    undotted = {name: array for name, array in whole.arrays.items() if "." not in name}
    beside = collections.ChainMap(undotted, whole.beside)  # type: ignore[arg-type]
    for module, arrays in modules.items():
        name = f"{whole.name}.{module}" if whole.name else module
        part = Network(name, arrays, clamps=clamps.get(module, {}), beside=beside)
        part = part._replace(foreign=foreign.get(module, {}), layers=layers.get(module, {}))
        if is_network(part, modules.keys()):
            yield part
        elif depth > 1:
            yield from find(part, is_network, depth - 1)


def _by_module(values: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Returns the values with dotted names, by the module before the first dot, and by
    the name behind it.
    """
    modules: dict[str, dict[str, Any]] = {}
    for name, value in values.items():
        module, dot, inner = name.partition(".")
        if dot:
            modules.setdefault(module, {})[inner] = value
    return modules


def _average_rank(network: Network) -> int:
    """Returns a rank that puts moving averages first: fewer for more "ema" in the name.

    Both "ema.online_model" and "ema.ema_model" occur in one file. The second is the
    moving average.
    """
    return -network.name.lower().count("ema")
