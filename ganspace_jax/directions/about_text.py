"""The about-text of a components file: JSON with the layer and the source of the
components.
"""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from typing import Any

from ganspace_jax.directions import named_directions, sources
from ganspace_jax.directions.named_directions import NamedDirection
from ganspace_jax.directions.sources import Source
from ganspace_jax.sampling.layers import LayerSpec


def write(spec: LayerSpec, source: Source, named: Sequence[NamedDirection]) -> str:
    """Returns the JSON text. Components without names store no list of names."""
    names = {"named": named_directions.to_entries(named)} if named else {}
    return json.dumps({"source": dataclasses.asdict(source), "spec": dataclasses.asdict(spec), **names})


def read(text: str) -> tuple[LayerSpec, Source, Any]:
    """Returns spec, source and the list of names in the JSON text; earlier versions
    stored one flat list without names.
    """
    about = json.loads(text)
    sources.check_json(about)
    spec_names = [field.name for field in dataclasses.fields(LayerSpec)]
    if "spec" in about:
        sources.check_names("spec", about["spec"], spec_names)
        return _checked_spec(about["spec"]), sources.from_entries(about["source"]), about.get("named", [])
    options = {name: about[name] for name in about if name not in ("generator", "fingerprint", "num_sweeps")}
    options.pop("compute_dtype", None)
    source = dataclasses.asdict(Source(
        about["generator"], about["fingerprint"], "decomposition", options,
        about["num_samples"], about.get("num_sweeps", 1), about.get("compute_dtype", "float32"),
    ))  # fmt: skip
    spec = _checked_spec({name: about[name] for name in spec_names if name in about})
    return spec, sources.from_entries({**source, "assumptions": []}), []


def _checked_spec(entries: Mapping[str, Any]) -> LayerSpec:
    """Returns the spec; raises ValueError for entries of a wrong type."""
    spec, text = LayerSpec(**entries), (str, type(None))
    if not isinstance(spec.layer, text) or not isinstance(spec.latent_space, text):
        raise ValueError("layer and latent_space must be text")
    if isinstance(spec.label, bool) or not isinstance(spec.label, int | str | None):
        raise ValueError(f"label: must be a class index, is {spec.label!r}")
    if type(spec.truncation_psi) not in (int, float):
        raise ValueError(f"truncation_psi: must be a number, is {spec.truncation_psi!r}")
    if type(spec.truncation_cutoff) not in (int, type(None)):
        raise ValueError(f"truncation_cutoff: must be a number of layers, is {spec.truncation_cutoff!r}")
    return spec
