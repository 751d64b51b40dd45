"""ganspace_jax: directions of pretrained GANs, and how far each can be trusted.

    import ganspace_jax as gs

The names below are the library; docs/library.md shows them in use. Each is imported
when it is first used, so that `import ganspace_jax` is quick.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ganspace_jax.directions.components import Components
    from ganspace_jax.directions.components import save as save_components
    from ganspace_jax.directions.edits import Edit, apply
    from ganspace_jax.directions.foreign_files import load_components
    from ganspace_jax.errors import InputError
    from ganspace_jax.files.pictures import grid, save_png
    from ganspace_jax.generators.base import Generator
    from ganspace_jax.generators.synthesis import Synthesis, map_latents, synthesize
    from ganspace_jax.generators.zoo import load
    from ganspace_jax.methods.decomposition import Decomposition, decompose
    from ganspace_jax.run import Interrupted, Progress, Run
    from ganspace_jax.sampling.inversion import Inversion, Inverted, invert
    from ganspace_jax.sampling.latent_files import load as load_latents
    from ganspace_jax.sampling.latents import layer_latents as latents

_PLACES = {
    "Components": "directions.components",
    "Decomposition": "methods.decomposition",
    "Edit": "directions.edits",
    "Generator": "generators.base",
    "InputError": "errors",
    "Interrupted": "run",
    "Inversion": "sampling.inversion",
    "Inverted": "sampling.inversion",
    "Progress": "run",
    "Run": "run",
    "Synthesis": "generators.synthesis",
    "apply": "directions.edits",
    "decompose": "methods.decomposition",
    "grid": "files.pictures",
    "invert": "sampling.inversion",
    "latents": "sampling.latents:layer_latents",
    "load": "generators.zoo",
    "load_components": "directions.foreign_files",
    "load_latents": "sampling.latent_files:load",
    "map_latents": "generators.synthesis",
    "save_components": "directions.components:save",
    "save_png": "files.pictures",
    "synthesize": "generators.synthesis",
}

__all__ = [
    "Components",
    "Decomposition",
    "Edit",
    "Generator",
    "InputError",
    "Interrupted",
    "Inversion",
    "Inverted",
    "Progress",
    "Run",
    "Synthesis",
    "apply",
    "decompose",
    "grid",
    "invert",
    "latents",
    "load",
    "load_components",
    "load_latents",
    "map_latents",
    "save_components",
    "save_png",
    "synthesize",
]


def __getattr__(name: str) -> Any:
    """Imports a name of the library when it is first used."""
    if name not in _PLACES:
        raise AttributeError(f"module 'ganspace_jax' has no attribute {name!r}")
    module, _, original = _PLACES[name].partition(":")
    value = getattr(importlib.import_module(f"ganspace_jax.{module}"), original or name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
