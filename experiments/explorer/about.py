"""What a page is told first: the generator, the sliders, and what can be done here."""

import importlib.metadata
import pathlib
from typing import Any

from experiments.explorer import animating, directions, messages, state
from experiments.explorer.exporting import Origins
from experiments.explorer.keeping import Shelf
from experiments.explorer.rendering import Renderer
from ganspace_jax.files import animations
from ganspace_jax.generators import base, zoo

_MAX_PSI = 2.0  # of the page's control, where any truncation is possible


def describe(renderer: Renderer, origins: Origins, shelf: Shelf, *, can_upload: bool) -> dict[str, Any]:
    """Returns JSON values that describe an explorer. Unknown figures are None."""
    return {
        "generator": _generator(renderer, origins.generator),
        "groups": directions.to_json(renderer.directions),
        "pictures": list(renderer.own),
        "kept": shelf.list(),
        "modes": list(renderer.modes),
        "why_latent_only": renderer.why_latent_only,
        "can_centre": True,
        "can_upload": can_upload,
        "animations": list(animations.forms()),
        "version": _version(),
        "workdir": origins.workdir.name,
        "limits": {
            "starts": state.MAX_STARTS,
            "edits": state.MAX_EDITS,
            "frames": animating.MAX_FRAMES,
            "upload": messages.MAX_BYTES - messages.MAX_LINE,
        },
    }


def _generator(renderer: Renderer, name: str) -> dict[str, Any]:
    generator = renderer.generator
    height, width, channels = base.image_shape(generator)
    num_classes = generator.num_classes
    names = generator.class_names or tuple(f"class {k}" for k in range(num_classes))
    families = [family for family, (config, _) in zoo.FAMILIES.items() if type(generator.config) is config]
    is_cut = generator.prior == "truncated_normal"
    return {
        "name": pathlib.PurePath(name).name,
        "family": families[0] if families else None,
        "height": height,
        "width": width,
        "channels": channels,
        "num_layers": generator.latent_shape[0],
        "classes": list(names[:num_classes]),
        "default_label": renderer.default_label,
        "has_mean": renderer.directions.components.spec.latent_space == "w",
        "has_truncation": is_cut or generator.has_mapping,
        "has_cutoff": generator.has_mapping,
        "has_noise": renderer.has_noise,
        "min_psi": 0.01 if is_cut else -_MAX_PSI if generator.has_mapping else 1.0,
        "max_psi": 1.0 if is_cut or not generator.has_mapping else _MAX_PSI,
    }


def _version() -> str | None:
    """Returns the version of the installed program; None in a checkout."""
    try:
        return importlib.metadata.version("ganspace-jax")
    except importlib.metadata.PackageNotFoundError:
        return None
