"""Finds the layers of a DCGAN generator in a state dict, whatever their names are.

The layers are a chain of transposed convolutions. A batch norm follows each convolution
but the last. Codes differ in the names: main.0, main.1 and main.3 in the tutorial, 0, 1
and 3 in a bare nn.Sequential, gen.0.0, gen.0.1 and gen.1.0 in blocks, convTr1,
batchNorm1 and convTr2 as attributes.

So arrays show which module is a convolution and which is a batch norm. Numbers in the
names give the order. Names that differ in words have the order of the file. Then each
convolution must have as many inputs as the convolution before it has outputs.
"""

import itertools
import re
from collections.abc import Callable, Mapping, Sequence, Set
from typing import NamedTuple

import numpy as np

from ganspace_jax.errors import InputError

Arrays = Mapping[str, np.ndarray]
Token = int | str | None

MAX_LAYERS = 16  # the tutorial's network has 5

_MAX_ARRAYS = 500  # of a network; sixteen layers have about a hundred
_MAX_TOKENS = 32  # words and numbers of a name
_MAX_MODULES = 100  # networks and losses beside one another
_MAX_DEPTH = 4  # modules in the path of a generator
_GENERATORS = ("generator", "gen", "g", "netg", "net_g", "g_net", "generator_ema", "ema_generator", "gen_ema", "g_ema")
# Names of discriminators, encoders, losses and metrics.
_OTHER_NETWORKS = (
    r"d|d_net|net_?d|.*(discriminator|critic|encoder|classifier|loss|metric|criterion|percept|lpips|vgg|inception|fid).*"
    r"|(.*_)?dis[ck]?(_.*)?"
)


class Layer(NamedTuple):
    """One layer of the chain.

    Attributes:
        convolution: Name of the module with the kernel.
        norm: Name of the batch norm that follows; None for the last layer.
    """

    convolution: str
    norm: str | None


def parameter(module: str, leaf: str) -> str:
    """Returns the name of a module's array."""
    return f"{module}.{leaf}" if module else leaf


def is_generator(state: Arrays) -> bool:
    """Returns whether the arrays are the convolutions and batch norms of a generator.

    PyTorch stores a transposed convolution as [in, out, height, width], and a
    convolution as [out, in, height, width]. So the channels of a discriminator or an
    encoder fit together in the other direction.
    """
    if len(state) > _MAX_ARRAYS:
        return False
    convolutions, norms = _modules(state)
    if any(len(_tokens(name)) > _MAX_TOKENS for name in state):
        return False
    others = set(state) - {parameter(module, "weight") for module in convolutions}
    if len(convolutions) < 2 or not norms or any(np.ndim(state[name]) > 1 for name in others):
        return False
    by_name = _by_name(convolutions, state), _by_name(norms, state)
    if not any(_fits_transposed(state, *order) for order in (by_name, (convolutions, norms))):
        return False
    return not _contains_generator(state)


def _contains_generator(state: Arrays) -> bool:
    """Returns whether a generator and arrays beside it are in the state dict."""
    modules: dict[str, set[str]] = {}
    for name in state:
        path = name.split(".")
        for depth in range(min(len(path) - 1, _MAX_DEPTH)):
            modules.setdefault("".join(f"{module}." for module in path[:depth]), set()).add(path[depth])
    return any(
        is_generator_name(module, names) and not all(name.startswith(f"{place}{module}.") for name in state)
        for place, names in modules.items()
        for module in names
    )


def is_generator_name(path: str, modules: Set[str]) -> bool:
    """Returns whether the module of a training code at this path is its generator.

    Args:
        path: Names of modules, joined by dots.
        modules: Names of the modules at its place. One that is neither a generator nor
            another network could be a layer of the generator.
    """
    name = path.rpartition(".")[2].lower()
    if name not in _GENERATORS or len(modules) > _MAX_MODULES:
        return False
    return all(_is_network_name(other.lower()) for other in modules)


def _is_network_name(name: str) -> bool:
    """Returns whether a module of this name is a network or a loss by itself."""
    return name in _GENERATORS or re.fullmatch(_OTHER_NETWORKS, name) is not None


def _fits_transposed(state: Arrays, convolutions: Sequence[str], norms: Sequence[str]) -> bool:
    """Returns whether half of all neighbours fit as transposed convolutions.

    Fewer neighbours must fit as plain convolutions.
    """
    shapes = [state[parameter(module, "weight")].shape for module in convolutions]
    sizes = [len(state[parameter(module, "running_mean")]) for module in norms]
    transposed = [before[1] == after[0] for before, after in itertools.pairwise(shapes)]
    plain = [before[0] == after[1] for before, after in itertools.pairwise(shapes)]
    transposed += [shape[1] == size for shape, size in zip(shapes, sizes, strict=False)]
    plain += [shape[0] == size for shape, size in zip(shapes, sizes, strict=False)]
    return sum(transposed) > sum(plain) and 2 * sum(transposed) >= len(transposed)


def find(state: Arrays) -> tuple[Layer, ...]:
    """Returns the layers in their order.

    Raises:
        InputError: A parameter does not continue the chain, or the order is ambiguous.
    """
    convolutions, norms = _modules(state)
    _check_kernels(state, convolutions)
    by_name = _paired(_by_name(convolutions, state), _by_name(norms, state))
    by_place = _paired(convolutions, norms)
    names = list(state)
    is_earlier = lambda one, other: names.index(one) < names.index(other) and _are_indices_ordered(one, other)  # noqa: E731
    misfit = _misfit(state, by_name, _are_numbers_ordered)
    if misfit and _misfit(state, by_place, is_earlier):
        raise InputError(misfit)
    chain = by_place if misfit else by_name
    _check_unambiguous(state, chain)
    return chain


def _paired(convolutions: Sequence[str], norms: Sequence[str]) -> tuple[Layer, ...]:
    """Returns one layer per convolution and per batch norm that is left over."""
    return tuple(itertools.starmap(Layer, itertools.zip_longest(convolutions, norms)))


def _modules(state: Arrays) -> tuple[list[str], list[str]]:
    """Returns the names of convolutions and of batch norms, in the file's order."""
    paths = [(name.rpartition(".")[0], name.rpartition(".")[2]) for name in state]
    convolutions = [path for path, leaf in paths if leaf == "weight" and np.ndim(state[parameter(path, leaf)]) == 4]
    return convolutions, [
        path for path, leaf in paths if leaf == "running_mean" and np.ndim(state[parameter(path, leaf)]) == 1
    ]


def _check_kernels(state: Arrays, convolutions: Sequence[str]) -> None:
    if not 2 <= len(convolutions) <= MAX_LAYERS:
        raise InputError(
            f"DCGAN: the network has {len(convolutions):,} convolutions; networks with 2 to {MAX_LAYERS} convert"
        )
    for module in convolutions:
        name = parameter(module, "weight")
        height, width = state[name].shape[2:]
        if (height, width) != (4, 4):
            raise InputError(f"parameter {name}: has a {height}x{width} kernel; only DCGANs with 4x4 kernels convert")


def _misfit(state: Arrays, chain: Sequence[Layer], may_precede: Callable[[str, str], bool]) -> str:
    """Returns the first reason why these layers are no chain, or an empty string.

    Args:
        state: Arrays by name.
        chain: Layers in the order in question.
        may_precede: Whether the first parameter may lie before the second one.
    """
    convolutions, norms = (sum(module is not None for module in column) for column in zip(*chain, strict=True))
    if norms != convolutions - 1:
        return (
            f"DCGAN: a batch norm must follow each convolution but the last; the network has {convolutions} convolutions "
            f"and {norms} batch norms"
        )
    leaves = [(layer.convolution, "weight") for layer in chain], [(layer.norm, "running_mean") for layer in chain[:-1]]
    names = [
        parameter(str(module), leaf) for pair in itertools.zip_longest(*leaves) for module, leaf in filter(None, pair)
    ]
    for before, name in itertools.pairwise(names):
        channels, made = state[name].shape[0], _outputs(state, before)
        if channels != made:
            return f"parameter {name}: is for {channels} channels, but {before} before it makes {made}"
        if not may_precede(before, name):
            return f"parameter {name}: is numbered before {before}, which must come first"
    return ""


def _outputs(state: Arrays, name: str) -> int:
    """Returns the channels after a convolution's weight or a batch norm's mean."""
    shape = state[name].shape
    return shape[1] if len(shape) == 4 else shape[0]


def _are_numbers_ordered(one: str, other: str) -> bool:
    """Returns whether the numbers in two names allow the first name to come first."""
    tokens = _difference(_tokens(one), _tokens(other))
    return not _are_numbers(tokens) or tokens < tokens[::-1]  # type: ignore[operator]


def _are_indices_ordered(one: str, other: str) -> bool:
    """Returns whether the indices in two names allow the first name to come first.

    An index is a number between dots, as nn.Sequential has it. Other numbers may be
    channels: pyramid:512-256:convt.
    """
    both = (tuple(int(part) if part.isdecimal() else part for part in name.split(".")) for name in (one, other))
    indices = _difference(*both)
    return not _are_numbers(indices) or indices < indices[::-1]  # type: ignore[operator]


def _check_unambiguous(state: Arrays, chain: Sequence[Layer]) -> None:
    """Raises InputError if two layers could change places and have no numbers.

    Two convolutions could change places if their kernels have equal shapes, and two
    batch norms if they have equal sizes. Batch norms may have the words of their
    convolutions.
    """
    for one, other in itertools.combinations(chain, 2):
        first, second = (parameter(layer.convolution, "weight") for layer in (one, other))
        words = _difference(_tokens(one.convolution), _tokens(other.convolution))
        if state[first].shape == state[second].shape and not _are_numbers(words):
            raise InputError(f"parameter {second}: has the shape of {first}, and no number in the names orders the two")
        if one.norm is None or other.norm is None:
            continue
        first, second = (parameter(norm, "running_mean") for norm in (one.norm, other.norm))
        own_words = _difference(_tokens(one.norm), _tokens(other.norm))
        if state[first].shape == state[second].shape and not _are_numbers(own_words) and own_words != words:
            raise InputError(f"parameter {second}: has the shape of {first}, and no number in the names orders the two")


def _by_name(modules: Sequence[str], state: Arrays) -> list[str]:
    """Returns modules in the order of their numbers; words have the file's order."""
    places: dict[tuple[Token, ...], int] = {}
    for name in state:
        tokens = _tokens(name)
        for end in range(1, len(tokens) + 1):
            places.setdefault(tokens[:end], len(places))

    def key(module: str) -> list[tuple[int, int]]:
        tokens = _tokens(module)
        return [
            (0, token) if isinstance(token, int) else (1, places[tokens[: index + 1]])
            for index, token in enumerate(tokens)
        ]

    return sorted(modules, key=key)


def _tokens(name: str) -> tuple[Token, ...]:
    """Returns the words and numbers of a name: ("gen", 0, 1) of gen.0.1."""
    return tuple(int(part) if part.isdecimal() else part for part in re.findall(r"\d{1,18}|[^\d.]+", name))


def _difference(one: Sequence[Token], other: Sequence[Token]) -> tuple[Token, Token]:
    """Returns the first tokens that differ in two names; None stands for an end."""
    pairs = itertools.zip_longest(one, other)
    return next((pair for pair in pairs if pair[0] != pair[1]), (None, None))


def _are_numbers(pair: tuple[Token, Token]) -> bool:
    return isinstance(pair[0], int) and isinstance(pair[1], int)
