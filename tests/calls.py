"""Library calls with all options as keywords, as tests vary them."""

import dataclasses

from ganspace_jax.methods import decomposition
from ganspace_jax.methods.decomposition import Decomposition
from ganspace_jax.run import Run

_SPEC = {field.name for field in dataclasses.fields(Decomposition)}


def decompose(generator, *, name="", **options):
    """Returns the components of a decomposition; options are fields of Decomposition or
    of Run.
    """
    spec = Decomposition(**{key: value for key, value in options.items() if key in _SPEC})
    run = Run(**{key: value for key, value in options.items() if key not in _SPEC})
    return decomposition.decompose(generator, spec, run, name=name)
