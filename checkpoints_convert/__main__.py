"""Converts a published checkpoint to a directory that every experiment's --generator takes.

    python -m checkpoints_convert --source=weights.pth --output=runs/faces
    python -m checkpoints_convert --list

The format is told from the file's content; nothing in the file is executed. Every parameter has to be used exactly once, and
the images have to be finite. Only then the directory appears, in one step: the generator, preview.png with seeds 0 to 15, and
conversion.json, which says what it was made from. Converting the same file again replaces it.
"""

import dataclasses
import gc
import hashlib
import json
import pathlib
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from absl import app, flags, logging
from tqdm import tqdm

from checkpoints_convert import catalogue, downloads, formats
from ganspace_jax.errors import InputError, one_line_errors
from ganspace_jax.files import outputs, pictures
from ganspace_jax.generators import base, zoo
from ganspace_jax.sampling import latents

FLAGS = flags.FLAGS
flags.DEFINE_string(
    "source", None, "Checkpoint file, directory with pytorch_model.bin and config.json, or a name that --list shows."
)
flags.DEFINE_string("output", None, "Directory of the converted checkpoint.")
flags.DEFINE_string("cache", None, "Where downloads are kept; by default ganspace_jax in XDG_CACHE_HOME or ~/.cache.")
flags.DEFINE_bool("list", False, "Shows the published checkpoints that --source knows by name, and ends.")
flags.DEFINE_string("format", "auto", f"auto, or one of: {', '.join(one.name for one in formats.FORMATS)}.")
flags.DEFINE_string(
    "network", "auto", "Which of a file's networks, such as G; auto: the moving average, such as G_ema."
)
flags.DEFINE_multi_string(
    "option", [], "NAME=NUMBER, for what a file does not say: "
    + "; ".join(f"{', '.join(one.options)} ({one.name})" for one in formats.FORMATS if one.options) + "."
)  # fmt: skip

_RECORD = "conversion.json"


@flags.multi_flags_validator(["source", "output", "list"], "--source and --output are needed; --list shows names")
def _are_enough(values):
    return values["list"] or (values["source"] is not None and values["output"] is not None)


def main(_):
    """One checkpoint."""
    if FLAGS.list:
        print(catalogue.table())
        return
    path = downloads.resolve(FLAGS.source, FLAGS.cache or downloads.default_cache(), report=print)
    options = dict(map(_option, FLAGS.option))
    digest = _digest(path)
    _refuse_others(FLAGS.output, digest)
    with outputs.replacement(FLAGS.output, "--output=") as made:
        found, network, generator = _convert(path, options)
        gc.collect()  # cycles within JAX hold arrays of the file, and saving wants the memory
        print(_description(found, generator))
        record = {"source": path.name, "sha256": digest, "format": found.name, "network": network, "options": options}
        zoo.save(made, generator)  # before the preview, whose memory JAX keeps
        pictures.save_png(made / "preview.png", pictures.grid(_preview(path, generator), 8))
        (made / _RECORD).write_text(json.dumps(record, indent=2) + "\n")
    print(f"written: {FLAGS.output}")


def _convert(path: pathlib.Path, options: dict[str, float]) -> tuple[formats.Format, str, base.SplitGenerator]:
    """Format, name of the network, generator. The arrays of the file do not outlive this function."""
    source = formats.read(path)
    found, network = formats.recognize(source, FLAGS.format, FLAGS.network)
    others = [each.name for each in source.networks if each.name != network.name and found.matches(each.arrays)]
    del source  # and with it the networks that are not converted
    named = f", {network.name}" if network.name else ""
    also = f"; also there: {', '.join(others)}" if others else ""
    print(f"found: {found.description} ({found.name}){named}, {len(network.arrays)} arrays{also}", flush=True)
    return found, network.name, formats.convert(found, network, options, str(path))


def _option(text: str) -> tuple[str, float]:
    name, _, number = text.partition("=")
    try:
        return name, int(number) if number.isdigit() else float(number)
    except ValueError:
        raise InputError(f"--option={text}: wanted is NAME=NUMBER") from None


def _digest(path: pathlib.Path) -> str:
    """SHA-256 of a file, or of those of a directory that are read."""
    total = hashlib.sha256()
    for file in [path / "config.json", path / "pytorch_model.bin"] if path.is_dir() else [path]:
        if file.is_file():
            with open(file, "rb") as opened:
                total.update(hashlib.file_digest(opened, "sha256").digest())
    return total.hexdigest()


def _refuse_others(output: str, digest: str) -> None:
    """Raises InputError for an existing output that is not a conversion of the same source."""
    directory = pathlib.Path(output)
    if not directory.exists() or (directory.is_dir() and not any(directory.iterdir())):
        return
    try:
        record: Any = json.loads((directory / _RECORD).read_text())
        if record["sha256"] == digest:
            return
        reason = f"holds the conversion of another file, {record['source']}"
    except (OSError, ValueError, KeyError, TypeError):
        reason = "exists and is no conversion"
    raise InputError(f"--output={output}: {reason}; name another directory, or remove it")


def _description(found: formats.Format, generator: base.SplitGenerator) -> str:
    module = generator.merge()
    count = sum(leaf.size for leaf in jax.tree.leaves(generator.params))
    config = ", ".join(f"{f.name}={getattr(module.config, f.name)}" for f in dataclasses.fields(module.config))
    return (
        f"{found.description}: {module.config.resolution} px, z {module.z_dim}, "
        f"{module.num_classes or 'no'} classes, {count:,} parameters\n{config}"
    )


def _preview(path: pathlib.Path, generator: base.SplitGenerator) -> np.ndarray:
    """Sixteen images, made one by one to save memory; with labels, of the first classes."""
    module = generator.merge()
    z = jnp.asarray(latents.from_seeds(list(range(16)), module.z_dim, module.prior))
    label = None
    if module.num_classes:
        label = jax.nn.one_hot(jnp.arange(16) % module.num_classes, module.num_classes)
    made = []
    for i in tqdm(range(16), desc="preview", unit="image"):
        one = None if label is None else label[i : i + 1]
        made.append(base.synthesize(generator, base.map_latents(generator, z[i : i + 1], one), label=one))
    made = np.concatenate(made)
    if not np.isfinite(made).all():
        raise InputError(f"--source={path}: its images are not finite; nothing was written")
    return made


if __name__ == "__main__":
    logging.set_verbosity(logging.WARNING)
    app.run(one_line_errors(main))
