"""Converts a published checkpoint to a directory for --generator of the experiments.

    python -m checkpoints_convert --source=weights.pth --output=runs/faces
    python -m checkpoints_convert --list

The content of the file determines its format. Nothing in the file is executed. A
conversion must use every parameter exactly once, and the images must be finite. Only
then the directory appears, in one step. It contains the generator, preview.png with the
images of seeds 0 to 15, and conversion.json, which names the source. Converting the
same file again replaces the directory.
"""

import contextlib
import dataclasses
import gc
import hashlib
import json
import pathlib
import shutil
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from absl import flags
from tqdm import tqdm

from checkpoints_convert import downloads, formats
from ganspace_jax import command_line
from ganspace_jax.errors import InputError
from ganspace_jax.files import orbax_errors, outputs, pictures
from ganspace_jax.files.checkpoints import CheckpointError
from ganspace_jax.generators import base, catalogue, synthesis, zoo
from ganspace_jax.sampling import latents

FLAGS = flags.FLAGS
flags.DEFINE_string(
    "source", None, "Checkpoint file, directory with pytorch_model.bin and config.json, or a name from --list."
)
flags.DEFINE_string("output", None, "Directory of the converted checkpoint.")
flags.DEFINE_string("cache", None, "Directory of downloads; default: ganspace_jax in XDG_CACHE_HOME or in ~/.cache.")
flags.DEFINE_bool("list", False, "Prints the published checkpoints whose names --source accepts, and exits.")
flags.DEFINE_string("format", "auto", f"Format of the file: auto, {', '.join(one.name for one in formats.FORMATS)}.")
flags.DEFINE_string(
    "network", "auto", "Name of the network in the file, such as G. auto: the moving average, such as G_ema."
)
flags.DEFINE_multi_string(
    "option", [], "NAME=NUMBER, a fact that the file does not contain. Names by format: "
    + "; ".join(f"{', '.join(one.options)} ({one.name})" for one in formats.FORMATS if one.options) + "."
)  # fmt: skip

_RECORD = "conversion.json"


def main():
    """Converts one checkpoint, or prints the published ones."""
    if FLAGS.list:
        print(catalogue.table())
        return
    missing = [f"--{name}" for name in ("source", "output") if FLAGS[name].value is None]
    if missing:
        raise InputError(f"{' and '.join(missing)}: needed; --list prints names{command_line.example()}")
    path = downloads.resolve(FLAGS.source, FLAGS.cache or downloads.default_cache(), report=print)
    options = dict(map(_option, FLAGS.option))
    digest = _digest(path)
    _refuse_others(FLAGS.output, digest)
    with outputs.replacement(FLAGS.output, "--output=") as made:
        found, network, generator = _convert(path, options)
        gc.collect()  # cycles within JAX hold arrays of the file, and saving needs their memory
        print(_description(found, generator))
        if found.note and not options:
            print(f"note: {found.note}")
        record = {"source": path.name, "sha256": digest, "format": found.name, "network": network, "options": options}
        _write(made, path, generator, record)
    print(f"written: {FLAGS.output}")


def _convert(path: pathlib.Path, options: dict[str, float]) -> tuple[formats.Format, str, base.Generator]:
    """Returns the format, the network's name and the generator.

    The arrays of the file are freed when this function returns.
    """
    source = formats.read(path)
    found, network = formats.recognize(source, FLAGS.format, FLAGS.network)
    others = [each.name for each in source.networks if each.name != network.name and found.matches(each.arrays)]
    del source  # frees the networks that are not converted
    named = f", {network.name}" if network.name else ""
    also = f"; also there: {', '.join(others)}" if others else ""
    print(f"found: {found.description} ({found.name}){named}, {len(network.arrays)} arrays{also}", flush=True)
    return found, network.name, formats.convert(found, network, options, str(path))


def _write(made: pathlib.Path, path: pathlib.Path, generator: base.Generator, record: dict[str, Any]) -> None:
    """Writes the generator, its preview and the record into the directory `made`."""
    _check_space(made, generator)
    with _output_errors():
        zoo.save(made, generator)  # before the preview, because JAX keeps the preview's memory
    preview = pictures.grid(_preview(path, generator), 8)
    with _output_errors():
        pictures.save_png(made / "preview.png", preview)
        (made / _RECORD).write_text(json.dumps(record, indent=2) + "\n")


def _check_space(made: pathlib.Path, generator: base.Generator) -> None:
    """Raises InputError if the disk has less free space than the arrays need."""
    needed = sum(leaf.nbytes for leaf in jax.tree.leaves(generator.params))
    total, _, free = shutil.disk_usage(made.parent)
    if total and free < needed:  # some network file systems report 0 for all
        raise InputError(
            f"--output={FLAGS.output}: the disk has {free / 1e6:,.1f} MB free, the arrays need {needed / 1e6:,.1f} MB; "
            "name another directory"
        )


@contextlib.contextmanager
def _output_errors() -> Iterator[None]:
    """Raises InputError that names --output if the block fails to write its files."""
    try:
        yield
    except (CheckpointError, OSError) as error:
        reason = orbax_errors.reason(error).rpartition("cannot be written: ")[2]  # without the hidden directory's name
        raise InputError(f"--output={FLAGS.output}: cannot be written: {reason}; name another directory") from None


def _option(text: str) -> tuple[str, float]:
    """Returns the name and the number of an --option; raises InputError."""
    name, _, number = text.partition("=")
    try:
        return name, int(number) if number.isdigit() else float(number)
    except ValueError:
        raise InputError(f"--option={text}: must be NAME=NUMBER") from None


def _digest(path: pathlib.Path) -> str:
    """Returns the SHA-256 of a file, or of the two files in a directory."""
    total = hashlib.sha256()
    for file in [path / "config.json", path / "pytorch_model.bin"] if path.is_dir() else [path]:
        if file.is_file():
            with open(file, "rb") as opened:
                total.update(hashlib.file_digest(opened, "sha256").digest())
    return total.hexdigest()


def _refuse_others(output: str, digest: str) -> None:
    """Raises InputError if the output exists and has another source, or none."""
    directory = pathlib.Path(output)
    if not directory.exists() or (directory.is_dir() and not any(directory.iterdir())):
        return
    try:
        record: Any = json.loads((directory / _RECORD).read_text())
        if record["sha256"] == digest:
            return
        reason = f"contains the conversion of another file, {record['source']}"
    except (OSError, ValueError, KeyError, TypeError):
        reason = "exists and is no conversion"
    raise InputError(f"--output={output}: {reason}; name another directory, or remove it")


def _description(found: formats.Format, generator: base.Generator) -> str:
    """Returns two lines about a generator: its size, and its configuration."""
    module = generator.merge()
    count = sum(leaf.size for leaf in jax.tree.leaves(generator.params))
    config = ", ".join(f"{f.name}={getattr(module.config, f.name)}" for f in dataclasses.fields(module.config))
    return (
        f"{found.description}: {module.config.resolution} px, z {module.z_dim}, "
        f"{module.num_classes or 'no'} classes, {count:,} parameters\n{config}"
    )


def _preview(path: pathlib.Path, generator: base.Generator) -> np.ndarray:
    """Returns the images of seeds 0 to 15, of each class in turn if there are classes.

    The images are made one by one to save memory. Raises InputError if they are not
    finite.
    """
    module = generator.merge()
    z = jnp.asarray(latents.from_seeds(list(range(16)), module.z_dim, module.prior))
    label = None
    if module.num_classes:
        label = jax.nn.one_hot(jnp.arange(16) % module.num_classes, module.num_classes)
    made = []
    for i in tqdm(range(16), desc="preview", unit="image"):
        one = None if label is None else label[i : i + 1]
        made.append(synthesis.synthesize(generator, synthesis.map_latents(generator, z[i : i + 1], one), label=one))
    made = np.concatenate(made)
    if not np.isfinite(made).all():
        raise InputError(f"--source={path}: its images are not finite; nothing was written")
    return made


if __name__ == "__main__":
    command_line.start(main)
