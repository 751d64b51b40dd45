"""The state of a page: all that its controls say, as the page sends it with each
message.

The program stores no state of a page. So two pages do not disturb one another.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

from experiments.explorer import messages
from experiments.explorer.messages import MessageError
from ganspace_jax.directions.edits import MAX_SIGMA
from ganspace_jax.generators.synthesis import MAX_PSI, NUM_SEEDS

MAX_STARTS = 9  # pictures side by side
MAX_EDITS = 32
MODES = ("latent", "activation")
_MAX_VALUE = 1e9
MAX_NAME = 80  # characters of the name of a direction or of a picture
_MAX_LAYERS = 1_000
_MAX_NUMBER = 1_000_000  # of a slider or of a class
_MAX_KEY = 40


@dataclasses.dataclass(frozen=True)
class Origin:
    """What a picture starts from. Without a seed and a picture it is the mean latent.

    Attributes:
        seed: published seed.
        picture: name of an own picture.
    """

    seed: int | None = None
    picture: str | None = None


@dataclasses.dataclass(frozen=True)
class Move:
    """A slider that is not at 0, or whose coordinate is set to the mean.

    Attributes:
        group: key of the slider's group.
        number: number of the slider in its group.
        layers: [start, stop) of the latents that are moved; None for all layers.
        sigma: length of the step, in standard deviations.
        value: value to set instead of a step, in the direction's unit; None: a step.
    """

    group: str
    number: int
    layers: tuple[int, int] | None = None
    sigma: float = 0.0
    value: float | None = None


@dataclasses.dataclass(frozen=True)
class State:
    """The controls of a page.

    Attributes:
        starts: what the pictures start from.
        label: class index; None for the class of the components, or the first one.
        psi: truncation, after the edit; 1: none.
        cutoff: number of truncated layers; None for all layers.
        noise: "const", "none", or the seed of random noise.
        mode: whether latents or activations are moved.
        centred: whether each coordinate is first set to the mean.
        edits: the sliders that move the pictures.
    """

    starts: tuple[Origin, ...] = (Origin(seed=1),)
    label: int | None = None
    psi: float = 1.0
    cutoff: int | None = None
    noise: str | int = "const"
    mode: str = "latent"
    centred: bool = False
    edits: tuple[Move, ...] = ()


def read(value: Any) -> State:
    """Returns the state of JSON values. An entry that is missing has its default.

    Raises:
        MessageError: if an entry is unknown, of a wrong type or out of range.
    """
    given = messages.entries(value, "state", [field.name for field in dataclasses.fields(State)])
    readers = {
        "starts": _starts,
        "label": lambda label: None if label is None else messages.integer(label, "label", 0, _MAX_NUMBER),
        "psi": lambda psi: messages.number(psi, "psi", MAX_PSI),
        "cutoff": lambda cutoff: None if cutoff is None else messages.integer(cutoff, "cutoff", 0, _MAX_LAYERS),
        "noise": _noise,
        "mode": lambda mode: messages.choice(mode, "mode", MODES),
        "centred": lambda centred: messages.boolean(centred, "centred"),
        "edits": lambda edits: messages.items(edits, "edits", MAX_EDITS, read_move),
    }
    return State(**{name: readers[name](entry) for name, entry in given.items()})


def _starts(value: Any) -> tuple[Origin, ...]:
    starts = messages.items(value, "starts", MAX_STARTS, _origin)
    if not starts:
        raise MessageError("starts: must be a list of at least 1")
    return starts


def _origin(value: Any) -> Origin:
    given = messages.entries(value, "start", ("seed", "mean", "picture"))
    if len(given) != 1:
        raise MessageError("start: must have one of seed, mean and picture")
    if "mean" in given:
        if not messages.boolean(given["mean"], "mean"):
            raise MessageError("mean: must be true")
        return Origin()
    if "seed" in given:
        return Origin(seed=messages.integer(given["seed"], "seed", 0, NUM_SEEDS - 1))
    return Origin(picture=messages.text(given["picture"], "picture", MAX_NAME))


def _noise(value: Any) -> str | int:
    if isinstance(value, str):
        return messages.choice(value, "noise", ("const", "none"))
    return messages.integer(value, "noise", 0, 2**31 - 1)


def read_move(value: Any) -> Move:
    """Returns the position of a slider of JSON values.

    Raises:
        MessageError: if an entry is missing, unknown, of a wrong type or out of range.
    """
    given = messages.entries(value, "edit", ("group", "number", "layers", "sigma", "value"))
    for name in ("group", "number"):
        if name not in given:
            raise MessageError(f"edit: has no {name}")
    return Move(
        messages.text(given["group"], "group", _MAX_KEY),
        messages.integer(given["number"], "number", 0, _MAX_NUMBER),
        read_layers(given.get("layers")),
        messages.number(given.get("sigma", 0.0), "sigma", MAX_SIGMA),
        None if given.get("value") is None else messages.number(given["value"], "value", _MAX_VALUE),
    )


def with_step(state: State, move: Move) -> State:
    """Returns a state in which the slider of a move makes a step and sets no value."""
    edits = (
        dataclasses.replace(one, value=None) if (one.group, one.number) == (move.group, move.number) else one
        for one in state.edits
    )
    return dataclasses.replace(state, edits=tuple(edits))


def read_layers(value: Any) -> tuple[int, int] | None:
    """Returns layers [start, stop) of JSON values; None for all layers.

    Raises:
        MessageError: if the value is no range of layers.
    """
    if value is None:
        return None
    found = messages.items(value, "layers", 2, lambda one: messages.integer(one, "layers", 0, _MAX_LAYERS))
    if len(found) != 2 or found[0] >= found[1]:
        raise MessageError("layers: must be a first layer and the layer after the last one, or null")
    return found[0], found[1]


def to_json(state: State) -> dict[str, Any]:
    """Returns the JSON values of a state, which `read` reads."""
    values = dataclasses.asdict(state)
    values["starts"] = [_origin_to_json(one) for one in values["starts"]]
    values["edits"] = [move_to_json(one) for one in state.edits]
    return values


def _origin_to_json(origin: Mapping[str, Any]) -> dict[str, Any]:
    known = {name: value for name, value in origin.items() if value is not None}
    return known or {"mean": True}


def move_to_json(move: Move) -> dict[str, Any]:
    """Returns the JSON values of a slider's position."""
    values = {**dataclasses.asdict(move), "layers": None if move.layers is None else list(move.layers)}
    return {name: value for name, value in values.items() if name != "value" or value is not None}
