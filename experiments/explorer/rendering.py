"""Makes pictures of states: the same code path as experiments.edit, one image a call.

All that a control changes is traced, so that no picture waits for a compiler.
"""

import dataclasses
import functools
import io
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple, cast

import jax
import numpy as np
from PIL import Image

from experiments.explorer.directions import Directions
from experiments.explorer.state import Move, Origin, State
from ganspace_jax import errors
from ganspace_jax.directions import edited_images
from ganspace_jax.directions.components import Components
from ganspace_jax.directions.edited_images import Mode, Start, View
from ganspace_jax.directions.edits import Edit
from ganspace_jax.errors import InputError
from ganspace_jax.files import pictures
from ganspace_jax.generators import synthesis
from ganspace_jax.generators.base import Generator
from ganspace_jax.generators.synthesis import Noise, Synthesis

_MAX_STARTS = 64  # seeds whose latents are remembered
_SMALL = 256  # pixels; moving pictures up to this side are PNG, which is quick to write
_QUALITY = 90  # of a JPEG
_COMPILED = "/jax/core/compile/backend_compile_duration"
_compilations: list[float] = []  # seconds of each compilation of this process


def _note_compilation(event: str, duration_secs: float, **kwargs: str | int) -> None:
    if event == _COMPILED:
        _compilations.append(duration_secs)


@functools.cache
def _listen() -> None:
    """Counts the compilations of this process from the first call on."""
    jax.monitoring.register_event_duration_secs_listener(_note_compilation)


def num_compilations() -> int:
    """Returns how many programs were compiled, or read from the compilation cache."""
    _listen()
    return len(_compilations)


class Encoded(NamedTuple):
    """The file of a picture.

    Attributes:
        data: content of the file.
        mime: its media type.
        width: width, in pixels.
        height: height, in pixels.
    """

    data: bytes
    mime: str
    width: int
    height: int


def encode(pixels: np.ndarray, *, moving: bool = False) -> Encoded:
    """Returns the file of a picture [h, w, 3 or 4].

    While a slider moves, a large picture is a JPEG: 1024 px take 3 ms, against 100 ms
    of the quickest PNG. A picture with transparency is always PNG, because a JPEG has
    none.
    """
    height, width = pixels.shape[:2]
    file = io.BytesIO()
    if moving and max(height, width) > _SMALL and pixels.shape[2] == 3:
        Image.fromarray(pixels).save(file, "JPEG", quality=_QUALITY)
        return Encoded(file.getvalue(), "image/jpeg", width, height)
    Image.fromarray(pixels).save(file, "PNG", compress_level=1)
    return Encoded(file.getvalue(), "image/png", width, height)


class Turns:
    """Lets pictures that a person waits for go before long work in the background."""

    def __init__(self):
        self._condition = threading.Condition()
        self._waiting = 0
        self._taken = False

    @contextmanager
    def first(self) -> Iterator[None]:
        """Holds the turn while the block runs; waits for at most one block."""
        with self._condition:
            self._waiting += 1
            self._condition.wait_for(lambda: not self._taken)
            self._waiting -= 1
            self._taken = True
        try:
            yield
        finally:
            self._release()

    @contextmanager
    def later(self) -> Iterator[None]:
        """Holds the turn while the block runs; waits until no picture waits."""
        with self._condition:
            self._condition.wait_for(lambda: not self._taken and not self._waiting)
            self._taken = True
        try:
            yield
        finally:
            self._release()

    def _release(self) -> None:
        with self._condition:
            self._taken = False
            self._condition.notify_all()


class Renderer:
    """Makes the pictures of states.

    Attributes:
        generator: the generator.
        directions: all sliders.
        own: starts of own pictures by name.
        modes: modes that the first file's layer allows.
        why_latent_only: one line that tells why activations cannot be moved; "" if they
            can.
        num_channels: channels of the images.
        default_label: class of a state without a label; None without classes.
    """

    def __init__(self, generator: Generator, directions: Directions, own: dict[str, Start]):
        self.generator = generator
        self.own = own
        resolved, view = edited_images.resolve(directions.components, View(), generator)
        self.directions = dataclasses.replace(directions, components=resolved)
        self.default_label = view.synthesis.label
        self._components: dict[str, Components] = {"latent": resolved}
        self.why_latent_only = ""
        try:
            self._components["activation"] = edited_images.at_own_layer(resolved, generator)
        except InputError as error:
            self.why_latent_only = errors.first_line(error)
        self.modes = tuple(self._components)
        self.num_channels = _num_channels(generator)
        self._starts: dict[tuple[object, ...], Start] = {}
        self._lock = threading.Lock()

    def view(self, state: State) -> View:
        """Returns how the pictures of a state are made.

        Raises:
            InputError: if the generator has no such label, truncation or mode.
        """
        if state.mode not in self._components:
            raise InputError(f"mode {state.mode}: {self.why_latent_only}")
        settings = Synthesis(
            label=self.default_label if state.label is None else state.label,
            truncation_psi=state.psi,
            truncation_cutoff=state.cutoff,
            noise=cast(Noise, state.noise),
        )
        synthesis.check(self.generator, settings)
        return View(edited_images.with_cutoff(settings, self.generator), cast(Mode, state.mode), state.centred)

    def components(self, state: State) -> Components:
        """Returns the rows that the edits of a state move along."""
        return self._components[state.mode]

    def edits(self, state: State) -> list[Edit]:
        """Returns the edits of a state, along the rows of `components`."""
        return self.directions.edits(state.edits, state.mode)

    def start(self, origin: Origin, settings: Synthesis) -> Start:
        """Returns the latents that a picture starts from.

        Raises:
            InputError: if there is no own picture of this name.
        """
        if origin.picture is not None:
            with self._lock:
                own = dict(self.own)
            if origin.picture not in own:
                raise InputError(
                    f"picture {origin.picture}: {errors.nearest(origin.picture, own)}"
                    f"there is none of this name; {', '.join(own) or 'none were given at the start'}"
                )
            return own[origin.picture]
        psi = settings.truncation_psi if not self.generator.has_mapping else 1.0
        key = (origin.seed, settings.label, psi)
        with self._lock:
            found = self._starts.get(key)
        if found is None:
            found = self._made_start(origin, settings)
            with self._lock:
                self._starts[key] = found
                while len(self._starts) > _MAX_STARTS:
                    del self._starts[next(iter(self._starts))]
        return found

    def _made_start(self, origin: Origin, settings: Synthesis) -> Start:
        if origin.seed is None:
            return edited_images.default_start(self.generator, self.directions.components, settings)
        return edited_images.start_of_seed(self.generator, origin.seed, settings)

    def add_own(self, name: str, start: Start) -> None:
        """Adds an own picture, from which pictures can start."""
        with self._lock:
            self.own = {**self.own, name: start}

    def image(self, state: State, which: int = 0) -> np.ndarray:
        """Returns the image [h, w, c] of one start of a state.

        Raises:
            InputError: if the state does not fit the generator or the directions.
        """
        if not 0 <= which < len(state.starts):
            raise InputError(f"which={which}: the state has {len(state.starts)} starts")
        view = self.view(state)
        return self.image_from(self.start(state.starts[which], view.synthesis), state)

    def picture(self, state: State, which: int = 0, *, moving: bool = False) -> tuple[np.ndarray, bool]:
        """Returns the image [h, w, c] of one start, and whether it has full size.

        Args:
            state: the state.
            which: number of the start.
            moving: whether a slider is in motion; a slow generator then makes a smaller
                image.
        """
        return self.image(state, which), True

    def image_from(self, start: Start, state: State) -> np.ndarray:
        """Returns the image [h, w, c] of a state's edits from given latents."""
        images = edited_images.edited_images(
            self.generator, self.components(state), start, [self.edits(state)], self.view(state)
        )
        return np.asarray(images)[0]

    def pixels(self, state: State, which: int = 0) -> np.ndarray:
        """Returns the picture [h, w, 3 or 4] of one start of a state."""
        return pictures.to_uint8(self.image(state, which))

    def compile(self) -> None:
        """Compiles all that the controls of the page need, by making pictures."""
        for state in self._states_of_programs():
            self.image(state)

    def _states_of_programs(self) -> Iterator[State]:
        """Yields one state for each program that a control can start."""
        key = self.directions.groups[0].key
        moved = State(edits=(Move(key, 0, None, 1.0), Move(key, 0, (0, 1), -1.0)))
        yield moved
        yield dataclasses.replace(moved, starts=(Origin(),))
        if self.has_noise:
            yield dataclasses.replace(moved, noise=1)
            yield dataclasses.replace(moved, noise="none")
        centred = dataclasses.replace(moved, centred=True)
        yield centred
        if "activation" in self.modes:
            yield dataclasses.replace(moved, mode="activation")
            yield dataclasses.replace(centred, mode="activation")

    @property
    def has_noise(self) -> bool:
        """Whether the generator adds noise images, as its configuration tells."""
        return bool(getattr(self.generator.config, "use_noise", False))


def resized(pixels: np.ndarray, side: int) -> np.ndarray:
    """Returns a picture whose longer side has at most `side` pixels."""
    image = Image.fromarray(pixels)
    image.thumbnail((side, side), Image.Resampling.BOX)
    return np.asarray(image)


def _num_channels(generator: Generator) -> int:
    """Returns the channels of the images. Nothing is computed."""
    latents = jax.ShapeDtypeStruct((1, *generator.latent_shape), np.float32)
    label = jax.ShapeDtypeStruct((1, generator.num_classes), np.float32) if generator.num_classes else None

    def make(params, latents, label):
        return Generator(generator.definition, params).merge()(latents, label=label)[0]

    return jax.eval_shape(make, generator.params, latents, label).shape[-1]
