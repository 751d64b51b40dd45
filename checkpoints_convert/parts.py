"""Finds networks within a flat state dict, where names begin with a module's path.

A checkpoint of encoder4editing, pSp or ReStyle contains encoder.* and decoder.* in one
dictionary. Lightning stores generator.* and discriminator.* in one dictionary. Such a
state dict is no network by itself, but a part of it is one.
"""

from collections.abc import Callable, Iterator, Set

from checkpoints_convert.networks import Arrays, Network

MAX_DEPTH = 4  # modules in the path of a part; published files have at most three

IsNetwork = Callable[[Network, Set[str]], bool]


def find(whole: Network, is_network: IsNetwork, depth: int = MAX_DEPTH) -> Iterator[Network]:
    """Yields the parts of a state dict that are networks; their paths name them.

    A part that is a network is not searched further. Arrays beside a part's module stay
    beside the part, so that a mean w is found there.

    Args:
        whole: State dict that is no network by itself.
        is_network: Whether a part, beside modules of these names, is a network.
        depth: Largest number of modules in the path of a part.
    """
    modules: dict[str, Arrays] = {}
    beside = dict(whole.beside)
    for name, array in whole.arrays.items():
        module, dot, inner = name.partition(".")
        if dot:
            modules.setdefault(module, {})[inner] = array
        else:
            beside[name] = array
    for module, arrays in modules.items():
        clamps = {
            name.removeprefix(f"{module}."): clamp
            for name, clamp in whole.clamps.items()
            if name.startswith(f"{module}.")
        }
        part = Network(f"{whole.name}.{module}" if whole.name else module, arrays, clamps=clamps, beside=beside)
        if is_network(part, modules.keys() - {module}):
            yield part
        elif depth > 1:
            yield from find(part, is_network, depth - 1)


def average_rank(network: Network) -> int:
    """Returns a rank that puts moving averages first: fewer for more "ema" in the name.

    Both "ema.online_model" and "ema.ema_model" occur in one file. The second is the
    moving average.
    """
    return -network.name.lower().count("ema")
