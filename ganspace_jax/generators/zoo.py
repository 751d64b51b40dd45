"""The generators by name, and the way from a checkpoint directory to a generator and
back.
"""

import dataclasses
import hashlib
import os
import pathlib
from typing import Any

import jax
import numpy as np

from ganspace_jax import errors
from ganspace_jax.files import checkpoints
from ganspace_jax.files.checkpoints import CheckpointError
from ganspace_jax.generators import (
    base,
    biggan,
    biggan_deep,
    catalogue,
    dcgan,
    progan,
    stylegan,
    stylegan2,
    stylegan2_lucidrains,
    stylegan3,
)
from ganspace_jax.generators.base import Generator

FAMILIES: dict[str, tuple[type, type]] = {
    "stylegan2": (stylegan2.Config, stylegan2.StyleGAN2),
    "biggan_deep": (biggan_deep.Config, biggan_deep.BigGANDeep),
    "dcgan": (dcgan.Config, dcgan.DCGAN),
    "biggan": (biggan.Config, biggan.BigGAN),
    "stylegan3": (stylegan3.Config, stylegan3.StyleGAN3),
    "stylegan": (stylegan.Config, stylegan.StyleGAN),
    "progan": (progan.Config, progan.ProGAN),
    "stylegan2_lucidrains": (stylegan2_lucidrains.Config, stylegan2_lucidrains.StyleGAN2Lucidrains),
}

_ADDED_FIELDS: dict[type, tuple[str, ...]] = {  # after the first release
    dcgan.Config: ("num_classes", "class_names"),
    stylegan2.Config: ("base_size",),
    stylegan3.Config: ("square",),
    progan.Config: ("normalize_before_label",),
}

_MAX_LAYERS = 256
_MAX_NUMBER = 1_000_000
_SHIPPED = pathlib.Path(__file__).parents[1] / "models"
ZOO: dict[str, pathlib.Path] = {
    "stylegan2-scenes": _SHIPPED / "stylegan2-scenes",
    "biggan-deep-scenes": _SHIPPED / "biggan-deep-scenes",
}


def resolve(name_or_directory: str | os.PathLike[str]) -> pathlib.Path:
    """Returns the checkpoint of a zoo name or of a path: a directory, or one file.

    Raises CheckpointError with the nearest zoo name if there is none.
    """
    name = os.fspath(name_or_directory)
    if name in ZOO:
        return ZOO[name]
    if pathlib.Path(name).is_dir() or pathlib.Path(name).is_file():
        return pathlib.Path(name)
    if name in catalogue.CATALOGUE:
        raise CheckpointError(
            f"--generator={name}: a published checkpoint; convert it first: python -m checkpoints_convert "
            f"--source={name} --output=runs/{name}, then give --generator=runs/{name}"
        )
    raise CheckpointError(
        f"--generator={name}: neither a generator of the zoo nor a directory or file; {errors.nearest(name, ZOO)}"
        f"the zoo has: {', '.join(ZOO)}"
    )


def load(name_or_directory: str | os.PathLike[str], *, compute_dtype: str | None = None) -> Generator:
    """Returns a generator by zoo name or checkpoint.

    Args:
        name_or_directory: name in ZOO, or directory or .safetensors file that the
            converter wrote.
        compute_dtype: "float32" or "bfloat16" for the convolutions; None: the
            checkpoint's own.

    Raises:
        CheckpointError: if the checkpoint is missing, damaged or of an unknown family.
    """
    abstract = load_abstract(name_or_directory, compute_dtype=compute_dtype)
    arrays = checkpoints.load_arrays(resolve(name_or_directory), abstract.params)
    return abstract._replace(params=jax.tree.map(jax.numpy.asarray, arrays))


def load_abstract(name_or_directory: str | os.PathLike[str], *, compute_dtype: str | None = None) -> Generator:
    """Returns a generator with shapes in place of arrays. Reads its configuration only;
    arguments as in `load`.

    Raises:
        CheckpointError: if the configuration is missing, damaged or of an unknown
            family.
    """
    directory = resolve(name_or_directory)
    entry = dict(checkpoints.load_config(directory))
    family = entry.pop("family")
    path = directory if directory.is_file() else directory / "config.json"
    if family not in FAMILIES:
        raise CheckpointError(f"{path}: unknown family {family!r}; there are {', '.join(FAMILIES)}")
    if compute_dtype is not None:
        entry["compute_dtype"] = compute_dtype
    try:
        for name, value in entry.items():
            _check_size(name, value)
        config = FAMILIES[family][0](**{name: _as_tuples(value) for name, value in entry.items()})
        return abstract_generator(family, config)
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise CheckpointError(f"{path}: {errors.first_line(error)}") from None


def _check_size(name: str, value: Any) -> None:
    """Raises ValueError for a number or a list that no network has, because building
    such a network could take forever.
    """
    most = _MAX_LAYERS if name.endswith("_layers") else _MAX_NUMBER
    if isinstance(value, int | float) and not abs(value) <= most:
        raise ValueError(f"{name}: is {value:g}, must be at most {most:,}")
    if isinstance(value, list) and len(value) > (_MAX_NUMBER if name == "class_names" else _MAX_LAYERS):
        raise ValueError(f"{name}: has {len(value):,} entries, must have at most {_MAX_LAYERS}")


def _as_tuples(value: Any) -> Any:
    """Returns JSON's lists as tuples, because a configuration must be hashable."""
    return tuple(map(_as_tuples, value)) if isinstance(value, list) else value


def abstract_generator(family: str, config: Any) -> Generator:
    """Returns a generator with shapes in place of arrays. Nothing is computed."""
    network_type = FAMILIES[family][1]
    return jax.eval_shape(lambda: base.split(network_type(config, key=jax.random.key(0))))


def save(directory: str | os.PathLike[str], generator: Generator) -> None:
    """Writes a generator as a checkpoint directory."""
    checkpoints.save_arrays(directory, generator.params, _entry(generator))


def _entry(generator: Generator) -> dict[str, Any]:
    """Returns the family and the configuration of a generator."""
    config = generator.config
    family = next(name for name, (config_type, _) in FAMILIES.items() if isinstance(config, config_type))
    return {"family": family, **dataclasses.asdict(config)}


def save_file(path: str | os.PathLike[str], generator: Generator, record: dict[str, Any] | None = None) -> None:
    """Writes a generator as one .safetensors file.

    Args:
        path: File to write.
        generator: Generator to write.
        record: Source of a conversion, None if there was no conversion.
    """
    checkpoints.save_file(path, generator.params, _entry(generator), record)


def fingerprint(generator: Generator) -> str:
    """Returns twelve hexadecimal digits that identify the configuration and the
    weights.

    The compute dtype does not change them.
    """
    digest = hashlib.sha256(_describe(generator.config).encode())
    for leaf in jax.tree.leaves(generator.params):
        digest.update(np.ascontiguousarray(leaf).tobytes())
    return digest.hexdigest()[:12]


def _describe(config: Any) -> str:
    """Returns the repr of a configuration in float32.

    Fields that a later version added are left out at their defaults, so that components
    files of earlier versions still fit.
    """
    if hasattr(config, "compute_dtype"):
        config = dataclasses.replace(config, compute_dtype="float32")
    added = _ADDED_FIELDS.get(type(config), ())
    shown = [
        f"{field.name}={getattr(config, field.name)!r}"
        for field in dataclasses.fields(config)
        if field.name not in added or getattr(config, field.name) != field.default
    ]
    return f"{type(config).__qualname__}({', '.join(shown)})"
