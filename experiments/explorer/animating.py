"""Makes the frames of animations: one slider's range, or a walk between states."""

import dataclasses
import pathlib
import tempfile
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from experiments.explorer.rendering import Renderer
from experiments.explorer.state import Move, State
from ganspace_jax.directions.edited_images import Start
from ganspace_jax.errors import InputError
from ganspace_jax.files import animations

MIME = {"webp": "image/webp", "gif": "image/gif", "mp4": "video/mp4"}
MAX_FRAMES = 480
MAX_PIXELS = 200_000_000  # of all frames; they are in memory until the file is written

Frame = Callable[[], np.ndarray]


def with_sigma(state: State, move: Move, sigma: float) -> State:
    """Returns a state with a slider at sigma; its layers remain if it is moved
    already.
    """
    for k, one in enumerate(state.edits):
        if (one.group, one.number) == (move.group, move.number):
            edits = (*state.edits[:k], dataclasses.replace(one, sigma=sigma), *state.edits[k + 1 :])
            return dataclasses.replace(state, edits=edits)
    return dataclasses.replace(state, edits=(*state.edits, dataclasses.replace(move, sigma=sigma)))


def swept(renderer: Renderer, state: State, which: int, move: Move, count: int) -> Iterator[Frame]:
    """Yields one frame for each of `count` even steps through a slider's range."""
    reach = renderer.directions.slider(move.group, move.number).reach
    for sigma in np.linspace(-reach, reach, count):
        one = with_sigma(state, move, float(sigma))
        yield lambda one=one: renderer.image(one, which)


def walked(renderer: Renderer, states: Sequence[State], which: int, count: int) -> Iterator[Frame]:
    """Yields frames of even steps from state to state. The first and the last frame are
    the pictures of the first and the last state.

    Latents, steps and truncation go evenly. The other controls jump halfway. If one of
    two states sets a value, the edited latents go evenly instead of the steps.

    Raises:
        InputError: if there are fewer than two states.
    """
    if len(states) < 2:
        raise InputError("walk: needs at least two states")
    positions = np.linspace(0, len(states) - 1, count)
    for position in positions:
        k = min(int(position), len(states) - 2)
        share = float(position) - k
        yield lambda k=k, share=share: _between(renderer, (states[k], states[k + 1]), which, share)


def _between(renderer: Renderer, pair: tuple[State, State], which: int, share: float) -> np.ndarray:
    first, second = pair
    if share in (0.0, 1.0):
        return renderer.image_from(_start(renderer, pair[int(share)], which), pair[int(share)])
    starts = [_start(renderer, state, which) for state in pair]
    near = dataclasses.replace(first if share < 0.5 else second, psi=_mixed(first.psi, second.psi, share))
    if any(move.value is not None for state in pair for move in state.edits):
        starts = [_edited(renderer, start, state) for start, state in zip(starts, pair, strict=True)]
        near = dataclasses.replace(near, centred=False, edits=())
    else:
        near = dataclasses.replace(near, edits=_mixed_edits(first.edits, second.edits, share))
    return renderer.image_from(_mixed_start(starts[0], starts[1], share), near)


def _edited(renderer: Renderer, start: Start, state: State) -> Start:
    """Returns a start whose latents have the edits of a state already.

    Raises:
        InputError: if the state moves activations.
    """
    if state.mode != "latent":
        raise InputError("walk: one picture sets a value, and another moves activations; keep both in latent mode")
    return start._replace(latents=renderer.moved(start, state), z=None)


def _start(renderer: Renderer, state: State, which: int) -> Start:
    origin = state.starts[min(which, len(state.starts) - 1)]
    return renderer.start(origin, renderer.view(state).synthesis)


def _mixed(a: float, b: float, share: float) -> float:
    return a if a == b else (1 - share) * a + share * b


def _mixed_edits(first: Sequence[Move], second: Sequence[Move], share: float) -> tuple[Move, ...]:
    """Returns the edits between two states; a slider that one of them lacks is at 0
    there.
    """

    def key(move: Move) -> tuple[object, ...]:
        return move.group, move.number, move.layers

    ends = [{key(move): move for move in moves} for moves in (first, second)]
    keys = dict.fromkeys([*ends[0], *ends[1]])
    mixed = []
    for one in keys:
        sigmas = [end[one].sigma if one in end else 0.0 for end in ends]
        move = ends[0].get(one) or ends[1][one]
        mixed.append(dataclasses.replace(move, sigma=_mixed(sigmas[0], sigmas[1], share)))
    return tuple(mixed)


def _mixed_start(first: Start, second: Start, share: float) -> Start:
    has_z, has_label = (
        None not in (first.z, second.z) and first.z is not None,
        first.label is not None and second.label is not None,
    )
    return Start(
        "walk",
        (1 - share) * first.latents + share * second.latents,
        (1 - share) * first.z + share * second.z if has_z else None,  # pyright: ignore
        (1 - share) * first.label + share * second.label if has_label else first.label,  # pyright: ignore
    )


def encoded(images: Sequence[np.ndarray], form: str) -> bytes:
    """Returns the file of an animation that runs through the pictures [h, w, 3 or 4]
    and back.

    Raises:
        InputError: if ffmpeg fails.
    """
    with tempfile.TemporaryDirectory() as directory:
        path = pathlib.Path(directory) / f"animation.{form}"
        animations.save(path, images)
        return path.read_bytes()
