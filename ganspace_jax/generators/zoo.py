"""The generators by name, and how a checkpoint directory becomes a generator."""

import dataclasses
import difflib
import os
import pathlib
from typing import Any

import jax

from ganspace_jax.files import checkpoints
from ganspace_jax.generators import base, biggan, biggan_deep, dcgan, progan, stylegan, stylegan2, stylegan3

FAMILIES: dict[str, tuple[type, type]] = {
    "stylegan2": (stylegan2.Config, stylegan2.StyleGAN2),
    "biggan_deep": (biggan_deep.Config, biggan_deep.BigGANDeep),
    "dcgan": (dcgan.Config, dcgan.DCGAN),
    "biggan": (biggan.Config, biggan.BigGAN),
    "stylegan3": (stylegan3.Config, stylegan3.StyleGAN3),
    "stylegan": (stylegan.Config, stylegan.StyleGAN),
    "progan": (progan.Config, progan.ProGAN),
}

_SHIPPED = pathlib.Path(__file__).parents[1] / "models"
ZOO: dict[str, pathlib.Path] = {
    "stylegan2-scenes": _SHIPPED / "stylegan2-scenes",
    "biggan-deep-scenes": _SHIPPED / "biggan-deep-scenes",
}


def resolve(name_or_directory: str | os.PathLike[str]) -> pathlib.Path:
    """The checkpoint directory of a zoo name, or of a path; raises CheckpointError with the nearest names."""
    name = os.fspath(name_or_directory)
    if name in ZOO:
        return ZOO[name]
    if pathlib.Path(name).is_dir():
        return pathlib.Path(name)
    near = difflib.get_close_matches(name, ZOO, n=1, cutoff=0.4)
    hint = f"did you mean {near[0]!r}? " if near else ""
    raise checkpoints.CheckpointError(
        f"{name!r} is neither a generator of the zoo nor a directory; {hint}the zoo has: {', '.join(ZOO)}"
    )


def load(name_or_directory: str | os.PathLike[str], *, compute_dtype: str | None = None) -> base.SplitGenerator:
    """Loads a generator by zoo name or checkpoint directory; raises CheckpointError.

    compute_dtype: "float32" or "bfloat16" for the convolutions, in place of the checkpoint's own.
    """
    directory = resolve(name_or_directory)
    entry = dict(checkpoints.load_config(directory))
    family = entry.pop("family")
    if family not in FAMILIES:
        raise checkpoints.CheckpointError(
            f"{directory / 'config.json'}: unknown family {family!r}; there are {', '.join(FAMILIES)}"
        )
    if compute_dtype is not None:
        entry["compute_dtype"] = compute_dtype
    config_type, _ = FAMILIES[family]
    try:
        config = config_type(**{name: _as_tuples(value) for name, value in entry.items()})
        abstract = abstract_generator(family, config)
    except (TypeError, ValueError, AttributeError) as error:
        raise checkpoints.CheckpointError(f"{directory / 'config.json'}: {str(error).splitlines()[0]}") from None
    arrays = checkpoints.load_arrays(directory, abstract.params)
    return abstract._replace(params=jax.tree.map(jax.numpy.asarray, arrays))


def _as_tuples(value: Any) -> Any:
    """JSON's lists; a configuration has to be hashable."""
    return tuple(map(_as_tuples, value)) if isinstance(value, list) else value


def abstract_generator(family: str, config: Any) -> base.SplitGenerator:
    """The definition, and the shapes of the arrays, without computing any."""
    module_type = FAMILIES[family][1]
    with_arrays = lambda: base.split(module_type(config, key=jax.random.key(0)))  # noqa: E731
    return jax.eval_shape(with_arrays)


def save(directory: str | os.PathLike[str], generator: base.SplitGenerator) -> None:
    """Writes a generator as a checkpoint directory."""
    config = generator.merge().config
    family = next(name for name, (config_type, _) in FAMILIES.items() if isinstance(config, config_type))
    checkpoints.save_arrays(directory, generator.params, {"family": family, **dataclasses.asdict(config)})
