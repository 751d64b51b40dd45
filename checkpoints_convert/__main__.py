"""Converts a published checkpoint to a directory for --generator of the experiments.

    python -m checkpoints_convert --source=weights.pth --output=runs/faces
    python -m checkpoints_convert --source=runs/faces --output=faces.safetensors
    python -m checkpoints_convert --list

The content of the file determines its format. Nothing in the file is executed. A
conversion must use every parameter exactly once, and the images must be finite. Only
then the directory appears, in one step. It contains the generator, preview.png with the
images of seeds 0 to 15 (0 to 3 above 128 pixels), and conversion.json, which names the
source. Converting the same file again replaces the directory.

If the name of the output ends in .safetensors, the generator becomes one file instead.
The file stores the content of conversion.json too. Its source can also be a checkpoint
of this program, or a shipped generator.
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

from checkpoints_convert import archive_members, downloads, formats, own_checkpoints, sources
from ganspace_jax import command_line
from ganspace_jax.errors import InputError
from ganspace_jax.files import checkpoints, orbax_errors, outputs, pictures, single_files
from ganspace_jax.files.checkpoints import CheckpointError
from ganspace_jax.generators import base, catalogue, synthesis, zoo
from ganspace_jax.sampling import latents

FLAGS = flags.FLAGS
flags.DEFINE_string(
    "source",
    None,
    "Checkpoint file, archive with a checkpoint, directory with config.json and pytorch_model.bin or "
    "model.safetensors, name from --list; for one file also a checkpoint of this program.",
)
flags.DEFINE_string("output", None, "Directory of the converted checkpoint, or one file NAME.safetensors.")
flags.DEFINE_string("member", None, "Name of the checkpoint in an archive that has several ones.")
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
_MAX_LISTED = 20  # networks
_LARGE = 128  # pixels; a larger image can take a second or more


def main():
    """Converts one checkpoint, or prints the published ones."""
    if FLAGS.list:
        print(catalogue.table())
        return
    missing = [f"--{name}" for name in ("source", "output") if FLAGS[name].value is None]
    if missing:
        raise InputError(f"{' and '.join(missing)}: needed; --list prints names{command_line.example()}")
    if own_checkpoints.is_own(FLAGS.source):
        own_checkpoints.copy(FLAGS.source, FLAGS.output)
    else:
        path = downloads.resolve(FLAGS.source, FLAGS.cache or downloads.default_cache(), report=print)
        with archive_members.opened(path, FLAGS.member) as opened:
            _convert_to_output(path, opened)
    print(f"written: {FLAGS.output}")


def _convert_to_output(path: pathlib.Path, opened: archive_members.Opened) -> None:
    """Converts a checkpoint that may be a member of the archive `path`."""
    options = dict(map(_option, FLAGS.option))
    digest = _digest(path)
    _refuse_others(FLAGS.output, digest, opened.member)
    with _made(FLAGS.output) as made:
        if opened.member:
            print(f"archive: {opened.member} of {path.name}")
        found, network, generator, notes = _convert(opened.path, options)
        gc.collect()  # cycles within JAX hold arrays of the file, and saving needs their memory
        print(_description(found, generator))
        for note in notes:
            print(f"note: {note}")
        record = {"source": path.name, "sha256": digest, "format": found.name, "network": network, "options": options}
        if opened.member:
            record["member"] = opened.member
        _write(made, path, generator, record)


@contextlib.contextmanager
def _made(output: str) -> Iterator[pathlib.Path]:
    """Yields the path that the block writes, which is the output itself if it is one
    file.
    """
    if single_files.is_name(output):
        own_checkpoints.check_file(output)
        yield pathlib.Path(output)
    else:
        with outputs.replacement(output, "--output=") as made:
            yield made


def _convert(path: pathlib.Path, options: dict[str, float]) -> tuple[formats.Format, str, base.Generator, list[str]]:
    """Returns the format, the network's name, the generator and notes for the user.

    The arrays of the file are freed when this function returns.
    """
    source = formats.read(path)
    found, network = formats.recognize(source, FLAGS.format, FLAGS.network)
    others = [each.name for each in source.networks if each.name != network.name and found.matches(each.arrays)]
    del source  # frees the networks that are not converted
    named = f", {network.name}" if network.name else ""
    more = f" and {len(others) - _MAX_LISTED:,} more" if len(others) > _MAX_LISTED else ""
    also = f"; also there: {', '.join(others[:_MAX_LISTED])}{more}" if others else ""
    print(f"found: {found.description} ({found.name}){named}, {len(network.arrays)} arrays{also}", flush=True)
    generator = formats.convert(found, network, options, str(path))
    return found, network.name, generator, formats.notes(found, network, options)


def _write(made: pathlib.Path, path: pathlib.Path, generator: base.Generator, record: dict[str, Any]) -> None:
    """Writes the generator, its preview and the record into the directory `made`.

    If the output is one file, it contains the record. The preview's images are made
    then too, because they show whether the generator works.
    """
    _check_space(made, generator)
    if single_files.is_name(FLAGS.output):
        _preview(path, generator)
        with _output_errors():
            zoo.save_file(made, generator, record)
        return
    with _output_errors():
        zoo.save(made, generator)  # before the preview, because JAX keeps the preview's memory
    preview = _preview(path, generator)
    preview = pictures.grid(preview, min(8, len(preview)))
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
    files = [path / sources.CONFIGURATION, sources.weights_of(path)] if path.is_dir() else [path]
    for file in files:
        if file.is_file():
            with open(file, "rb") as opened:
                total.update(hashlib.file_digest(opened, "sha256").digest())
    return total.hexdigest()


def _refuse_others(output: str, digest: str, member: str) -> None:
    """Raises InputError if the output exists and has another source, or none."""
    place = pathlib.Path(output)
    if not place.exists() or (place.is_dir() and not any(place.iterdir())):
        return
    try:
        if single_files.is_name(output):
            record: Any = checkpoints.load_record(place)
        else:
            record = json.loads((place / _RECORD).read_text())
        if (record["sha256"], record.get("member", "")) == (digest, member):
            return
        inside = f", {record['member']}" if record.get("member") else ""
        reason = f"contains the conversion of another file, {record['source']}{inside}"
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        reason = "exists and is no conversion"
    kind = "file" if single_files.is_name(output) else "directory"
    raise InputError(f"--output={output}: {reason}; name another {kind}, or remove it")


def _description(found: formats.Format, generator: base.Generator) -> str:
    """Returns two lines about a generator: its size, and its configuration."""
    module = generator.merge()
    count = sum(leaf.size for leaf in jax.tree.leaves(generator.params))
    config = ", ".join(f"{f.name}={getattr(module.config, f.name)}" for f in dataclasses.fields(module.config))
    height, width = generator.image_size
    size = f"{height}" if height == width else f"{height} x {width}"
    return (
        f"{found.description}: {size} px, z {module.z_dim}, "
        f"{module.num_classes or 'no'} classes, {count:,} parameters\n{config}"
    )


def _preview(path: pathlib.Path, generator: base.Generator) -> np.ndarray:
    """Returns the preview's images, of each class in turn if there are classes.

    The seeds are 0 to 15, or 0 to 3 if images are large, because the images take most
    of a conversion's time. They are made one by one to save memory.

    Raises:
        InputError: An image is not finite.
    """
    module = generator.merge()
    count = 16 if generator.resolution <= _LARGE else 4
    z = jnp.asarray(latents.from_seeds(list(range(count)), module.z_dim, module.prior))
    label = None
    if module.num_classes:
        label = jax.nn.one_hot(jnp.arange(count) % module.num_classes, module.num_classes)
    made = []
    for i in tqdm(range(count), desc="preview", unit="image"):
        one = None if label is None else label[i : i + 1]
        made.append(synthesis.synthesize(generator, synthesis.map_latents(generator, z[i : i + 1], one), label=one))
    made = np.concatenate(made)
    if not np.isfinite(made).all():
        raise InputError(f"--source={path}: its images are not finite; nothing was written")
    return made


if __name__ == "__main__":
    command_line.start(main)
