"""Writes states and directions in forms that other commands and programs read.

- edit: the text of --edit.
- flags: a flagfile, with which experiments.edit repeats the pictures.
- components: a components file of the directions alone.
- pkl: the file of an edit, as the original's viewer exports it.
"""

import dataclasses
import io
import pathlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from experiments.explorer import sources, writing
from experiments.explorer.rendering import Renderer
from experiments.explorer.state import State
from ganspace_jax.directions import edits, foreign_files
from ganspace_jax.directions.components import Components
from ganspace_jax.directions.edited_images import Start
from ganspace_jax.directions.edits import ALL, Edit
from ganspace_jax.directions.named_directions import NamedDirection, identifier
from ganspace_jax.errors import InputError

FORMS = ("pkl", "edit", "flags", "components")


class Origins(NamedTuple):
    """Where the things of the explorer come from, for flags that name them.

    Attributes:
        generator: name of the generator, as given at the start.
        components: path of the first file, as given at the start.
        latent_space: space of its directions, if a flag told it.
        workdir: the work directory.
    """

    generator: str
    components: str
    latent_space: str | None
    workdir: pathlib.Path

    @property
    def folder(self) -> pathlib.Path:
        """Folder of exported files."""
        return self.workdir / "exported"


class Exported(NamedTuple):
    """Files in the work directory.

    Attributes:
        path: the file that was asked for.
        data: its content.
        text: its content as a text; None for other files.
    """

    path: pathlib.Path
    data: bytes
    text: str | None = None


def export(
    renderer: Renderer, origins: Origins, state: State, form: str, name: str, *, is_direction: bool = False
) -> Exported:
    """Writes a state in one of the FORMS into the work directory.

    Args:
        renderer: maker of the pictures.
        origins: where the explorer's files come from.
        state: the state.
        form: one of FORMS.
        name: name of the file.
        is_direction: whether the state has one edit, whose direction has this name.

    Raises:
        InputError: if the state does not fit, or cannot be written in this form.
    """
    chosen = _checked_edits(renderer, state)
    path = writing.unused_path(origins.folder, name or "picture", (".txt", ".flags", ".npz", ".pkl", "_latents.npz"))
    if form == "flags":
        return _export_flags(renderer, origins, state, path)
    if not chosen:
        raise InputError(f"export: the state moves no slider; form {form} needs one")
    if form == "pkl":
        return _written(path, ".pkl", _pkl(renderer, origins, state, chosen, name))
    file, moved = _components(renderer, origins, state, path)
    if form == "components":
        _, rows = _own_rows(renderer, state)
        if is_direction:
            one = rows.named[0] if rows.named else NamedDirection(name)
            rows = dataclasses.replace(rows, named=(one._replace(name=identifier(name)),))
        return _written(path, ".npz", writing.components_bytes(rows, origins.folder))
    lines = [*(f'--edit="{edit}"' for edit in moved), f"--components={file}"]
    return _written_text(path, ".txt", lines)


def _written(path: pathlib.Path, suffix: str, data: bytes) -> Exported:
    target = path.with_name(path.name + suffix)
    writing.write_file(target, data)
    return Exported(target, data)


def _written_text(path: pathlib.Path, suffix: str, lines: Sequence[str]) -> Exported:
    text = "\n".join(lines) + "\n"
    return _written(path, suffix, text.encode())._replace(text=text)


def _checked_edits(renderer: Renderer, state: State) -> list[Edit]:
    """Returns the edits of a state. Raises InputError if one does not fit."""
    view, chosen = renderer.view(state), renderer.edits(state)
    for edit in chosen:
        own = edit if view.mode == "latent" else dataclasses.replace(edit, layers=None)
        edits.check(own, len(renderer.components(state)), renderer.generator.latent_shape[0])
    return chosen


def _own_rows(renderer: Renderer, state: State) -> tuple[list[Edit], Components]:
    """Returns the edits along components that hold exactly their directions."""
    chosen = renderer.edits(state)
    rows = list(dict.fromkeys(edit.index for edit in chosen))
    moved = [dataclasses.replace(edit, component=rows.index(edit.index)) for edit in chosen]
    return moved, renderer.directions.rows(rows)


def _by_name(chosen: Sequence[Edit], rows: Components) -> list[Edit]:
    """Returns edits that name their directions, if these have names."""
    return [dataclasses.replace(edit, component=rows.named[edit.index].name) if rows.named else edit for edit in chosen]


def _components(renderer: Renderer, origins: Origins, state: State, path: pathlib.Path) -> tuple[str, list[Edit]]:
    """Returns a components file and the edits along it.

    The file is the first one of the start if all edits are along its directions. If
    not, a file is written that holds exactly the directions of the edits.
    """
    is_main = all(move.group == sources.MAIN for move in state.edits)
    if is_main and origins.latent_space is None:
        chosen, found = renderer.edits(state), renderer.directions
        has_names = found.has_names([edit.index for edit in chosen])
        return origins.components, _by_name(chosen, found.components) if has_names else chosen
    moved, rows = _own_rows(renderer, state)
    written = _written(path, ".npz", writing.components_bytes(rows, origins.folder))
    return str(written.path), _by_name(moved, rows)


def _export_flags(renderer: Renderer, origins: Origins, state: State, path: pathlib.Path) -> Exported:
    """Writes a flagfile for experiments.edit, and the files that it names."""
    settings, starts = renderer.view(state).synthesis, _starts(renderer, state)
    file, moved = _components(renderer, origins, state, path) if state.edits else (origins.components, [])
    lines = [f"--generator={origins.generator}", f"--components={file}"]
    if not moved and origins.latent_space is not None:
        lines.append(f"--latent_space={origins.latent_space}")
    lines += [f"--edit={edit}" for edit in moved or [Edit(0, ALL, 0.0)]]
    if all(origin.seed is not None for origin in state.starts):
        lines.append(f"--seeds={','.join(str(origin.seed) for origin in state.starts)}")
    else:
        data = _latents_bytes(renderer, state, starts)
        lines.append(f"--latents={_written(path, '_latents.npz', data).path}")
    lines += ["--num_columns=1", f"--mode={state.mode}", f"--centred={str(state.centred and bool(moved)).lower()}"]
    if settings.label is not None:
        lines.append(f"--label={settings.label}")
    lines.append(f"--truncation_psi={settings.truncation_psi!r}")
    if state.cutoff is not None:
        lines.append(f"--truncation_cutoff={state.cutoff}")
    if isinstance(settings.noise, int):
        lines += ["--noise_mode=random", f"--noise_seed={settings.noise}"]
    elif settings.noise != "const":
        lines.append(f"--noise_mode={settings.noise}")
    lines.append(f"--workdir={path}")
    return _written_text(path, ".flags", lines)


def _starts(renderer: Renderer, state: State) -> list[Start]:
    settings = renderer.view(state).synthesis
    return [renderer.start(origin, settings) for origin in state.starts]


def _latents_bytes(renderer: Renderer, state: State, starts: Sequence[Start]) -> bytes:
    """Returns a file of the latents of all starts, for --latents.

    It holds z where directions in z move it, and for a generator without w.
    """
    generator, components = renderer.generator, renderer.components(state)
    arrays: dict[str, np.ndarray] = {}
    if generator.has_mapping and components.spec.latent_space == generator.latent_space:
        arrays["ws"] = np.stack([np.asarray(start.latents) for start in starts])
    elif all(start.z is not None for start in starts):
        arrays["z"] = np.stack([np.asarray(start.z) for start in starts])
    else:
        raise InputError("export: directions in z move a known z, which a picture of this state does not have")
    if generator.num_classes:
        label = renderer.view(state).synthesis.label
        one = np.eye(generator.num_classes, dtype=np.float32)[label if isinstance(label, int) else 0]
        arrays["label"] = np.stack([one if start.label is None else np.asarray(start.label) for start in starts])
    file = io.BytesIO()
    np.savez(file, allow_pickle=False, **arrays)
    return file.getvalue()


def _pkl(renderer: Renderer, origins: Origins, state: State, chosen: Sequence[Edit], name: str) -> bytes:
    """Returns the file of the only edit of a state."""
    if len(chosen) != 1:
        raise InputError(
            f"export: a .pkl holds one edit; the state has {len(chosen)}; keep one direction and export it"
        )
    edit, source = chosen[0], renderer.directions.components
    direction = source.latent_components[edit.index]
    if direction.ndim == 2:
        if not np.array_equal(direction, np.broadcast_to(direction[:1], direction.shape)):
            raise InputError("export: a .pkl holds one direction for all layers; this one differs by layer")
        source = dataclasses.replace(source, latent_components=source.latent_components[:, 0])
    if edit.value is not None:
        raise InputError("export: a .pkl holds a step; the state sets a value, by another step in each picture")
    slider = next(one for group in renderer.directions.groups for one in group.sliders if one.row == edit.index)
    if not slider.moves_activation:
        source = dataclasses.replace(
            source, activation_components=source.latent_components, activation_stdevs=source.latent_stdevs
        )
    exported = foreign_files.export(
        source, edit, name=name or (slider.name if slider.has_name else "picture"),
        num_layers=renderer.generator.latent_shape[0], truncation=state.psi,
        seed=next((origin.seed for origin in state.starts if origin.seed is not None), 0),
    )  # fmt: skip
    return foreign_files.edit_bytes(exported)
