"""Makes pictures of states: the same code path as experiments.edit, one image a call.

All that a control changes is traced, so that no picture waits for a compiler.
"""

import dataclasses
import functools
import re
import threading
import time
from collections.abc import Callable, Iterator
from typing import cast

import jax
import jax.numpy as jnp
import numpy as np

from experiments.explorer.directions import Directions
from experiments.explorer.state import MAX_EDITS, Move, Origin, State
from ganspace_jax import errors
from ganspace_jax.directions import array_moves, edited_images, readouts
from ganspace_jax.directions.components import Components
from ganspace_jax.directions.edited_images import Mode, Start, View
from ganspace_jax.directions.edits import Edit, activation_offset
from ganspace_jax.errors import InputError
from ganspace_jax.files import pictures
from ganspace_jax.generators import base, synthesis
from ganspace_jax.generators.base import Generator
from ganspace_jax.generators.synthesis import Noise, Synthesis
from ganspace_jax.shapes import Array, Float

_MAX_STARTS = 64  # seeds whose latents are remembered
_SLOW = 0.15  # seconds; a picture that takes longer is replaced by a sketch in a drag
_SKETCH_SHARE = 0.45  # of the full picture's time, which a sketch may take
_SMALLEST_SKETCH = 128  # pixels


class Renderer:
    """Makes the pictures of states.

    Attributes:
        generator: the generator.
        directions: all sliders.
        own: starts of own pictures by name.
        modes: modes that the first file's layer allows.
        why_latent_only: one line that tells why activations cannot be moved; "" if they
            can.
        sketch: activation of a smaller image, which a slow generator shows while a
            slider moves; None for a quick generator, and one without smaller images.
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
        self.sketch: str | None = None
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
            noise=cast(Noise, state.noise) if self.has_noise else "const",
        )
        synthesis.check(self.generator, settings)
        return View(synthesis.with_cutoff(self.generator, settings), cast(Mode, state.mode), state.centred)

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
        start = self._checked_start(state, which, self.view(state).synthesis)
        return self.image_from(start, state)

    def picture(self, state: State, which: int = 0, *, moving: bool = False) -> tuple[np.ndarray, bool]:
        """Returns the image [h, w, c] of one start, and whether it has full size.

        Args:
            state: the state.
            which: number of the start.
            moving: whether a slider is in motion; a slow generator then makes a smaller
                image.
        """
        is_sketched = moving and self.sketch is not None and state.mode == "latent" and state.noise == "const"
        return (self._sketched(state, which), False) if is_sketched else (self.image(state, which), True)

    def _sketched(self, state: State, which: int) -> np.ndarray:
        """Returns the image [h, w, c] of a lower resolution, to which the network adds
        the details of the full one.
        """
        settings = self.view(state).synthesis
        moved = self.moved(self._checked_start(state, which, settings), state)
        return np.asarray(synthesis.activation(self.generator, moved[None], str(self.sketch), settings))[0]

    def moved(self, start: Start, state: State) -> Float[Array, "layers d"]:
        """Returns the latents of a start after a state's edits."""
        return edited_images.move(self.generator, self.components(state), start, self.edits(state), self.view(state))

    def _checked_start(self, state: State, which: int, settings: Synthesis) -> Start:
        if not 0 <= which < len(state.starts):
            raise InputError(f"which={which}: the state has {len(state.starts)} starts")
        return self.start(state.starts[which], settings)

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
        states = list(self._states_of_programs())
        for state in states:
            self.image(state)
        for mode in self.modes:
            for count in array_moves.sizes(MAX_EDITS):
                self._move_only(State(edits=states[0].edits[:1] * count, mode=mode))
        self._compile_values()
        self.sketch = self._chosen_sketch(states[0])

    def _move_only(self, state: State) -> None:
        """Runs the edits of a state, and those of a centred state, without images."""
        edits, components = self.edits(state), self.components(state)
        for centred in (False, True):
            if state.mode == "latent":
                view = self.view(dataclasses.replace(state, centred=centred))
                start = self.start(state.starts[0], view.synthesis)
                edited_images.move(self.generator, components, start, edits, view)
            else:
                before = jnp.zeros((1, *components.activation_components.shape[1:])) if centred else None
                activation_offset(components, edits, before)

    def _compile_values(self) -> None:
        """Compiles the programs that set values, as many as there are at once."""
        components = self._components["latent"]
        count = sum(readouts.has_curve(components, row) for row in range(len(components)))
        num_layers, width = self.generator.latent_shape
        if components.spec.latent_space != self.generator.latent_space:
            width = self.generator.z_dim
        zeros = functools.partial(np.zeros, dtype=np.float32)
        for rows in array_moves.sizes(min(count, MAX_EDITS)) if count else ():
            dense = zeros((rows, num_layers, width))
            settings = array_moves.Settings(dense, zeros(rows), zeros((rows, rows)), dense)
            array_moves.set_coordinates(jnp.zeros((1, num_layers, width)), jnp.zeros((num_layers, width)), settings)

    def _chosen_sketch(self, state: State) -> str | None:
        """Returns the largest smaller image that is quick enough; None without one, and
        for a quick generator.
        """
        full = _seconds(lambda: self.image(state))
        if full < _SLOW:
            return None
        for name in self._smaller_images():
            self.sketch = name
            self._sketched(state, 0)
            if _seconds(lambda: self._sketched(state, 0)) < max(_SLOW, _SKETCH_SHARE * full):
                return name
        return None

    def _smaller_images(self) -> list[str]:
        """Returns the names of the images of lower resolutions, largest first."""
        full = self.generator.image_size[0]
        shapes = base.activation_shapes(self.generator)
        return [
            name
            for name, shape in reversed(shapes.items())
            if re.fullmatch(r"b\d+\.image", name) and _SMALLEST_SKETCH <= shape[0] <= full // 4
        ]

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

    @functools.cached_property
    def has_noise(self) -> bool:
        """Whether the generator has weights of noise images."""
        paths = jax.tree_util.tree_leaves_with_path(self.generator.params)
        return any("noise" in jax.tree_util.keystr(path) for path, _ in paths)


def _seconds(make: Callable[[], object]) -> float:
    began = time.perf_counter()
    make()
    return time.perf_counter() - began
