"""The record of how components were found: generator, method and samples."""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

UNKNOWN = "unknown"
_COUNTS = ("num_samples", "num_sweeps")


@dataclasses.dataclass(frozen=True)
class Source:
    """How components were found.

    Attributes:
        generator: name of the generator.
        fingerprint: digits that identify its weights; "" in files of other programs.
        method: name of the method that found the directions.
        options: all fields of the method's spec, as JSON values.
        num_samples: number of samples that were used.
        num_sweeps: number of sweeps over the samples.
        compute_dtype: number type of the generator's convolutions.
        assumptions: sentences about facts that the file does not contain.
    """

    generator: str
    fingerprint: str = ""
    method: str = UNKNOWN
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    num_samples: int = 0
    num_sweeps: int = 1
    compute_dtype: str = "float32"
    assumptions: tuple[str, ...] = ()

    @property
    def assumes_space(self) -> bool:
        """Whether the latent space of the directions is assumed, not told by the
        file's content.
        """
        return any("--latent_space" in sentence for sentence in self.assumptions)

    @property
    def estimator(self) -> str:
        """Name of the estimator of a decomposition."""
        return str(self.options.get("estimator", UNKNOWN))

    @property
    def seed(self) -> int:
        """Seed of the samples."""
        return int(self.options.get("seed", 0))


def from_entries(entries: Mapping[str, Any]) -> Source:
    """Returns the record of the JSON values in a components file.

    Raises:
        ValueError: if an entry is missing, unknown, or of a wrong type.
    """
    check_names("source", entries, [field.name for field in dataclasses.fields(Source)])
    texts = {name: entries[name] for name in ("generator", "fingerprint", "method", "compute_dtype")}
    texts |= dict(enumerate(_list("assumptions", entries["assumptions"])))
    for name, text in texts.items():
        if not isinstance(text, str):
            raise ValueError(f"{name}: must be text, is {text!r}")
    options = entries["options"]
    if not isinstance(options, dict):
        raise ValueError(f"options: must be a list of names and values, is {options!r}")
    for name, number in {**{name: entries[name] for name in _COUNTS}, "seed": options.get("seed", 0)}.items():
        if type(number) is not int or number < 0:
            raise ValueError(f"{name}: must be a whole number of at least 0, is {number!r}")
    return Source(**{**entries, "assumptions": tuple(entries["assumptions"])})


def _list(name: str, value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise ValueError(f"{name}: must be a list, is {value!r}")
    return value


def check_names(what: str, entries: Any, names: list[str]) -> None:
    """Raises ValueError if the entries are no dictionary with exactly these names."""
    if not isinstance(entries, dict):
        raise ValueError(f"{what}: must be a list of names and values, is {entries!r}")
    if wrong := sorted(set(names) ^ set(entries)):
        raise ValueError(f"{what}: {wrong[0]} is {'missing' if wrong[0] in names else 'no known entry'}")


def check_json(value: Any) -> None:
    """Raises ValueError if a JSON value contains an unprintable character, NaN or
    infinity.
    """
    if isinstance(value, str) and not value.isprintable():
        raise ValueError(f"{value[:40]!r} contains control characters")
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{value} is no finite number")
    if isinstance(value, dict):
        value = [*value, *value.values()]
    if isinstance(value, list):
        for one in value:
            check_json(one)
