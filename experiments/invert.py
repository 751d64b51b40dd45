r"""Finds the latents of pictures of your own, so that edits can change them.

    python -m experiments.invert --generator=stylegan2-scenes --images=photos \
        --workdir=runs/own
    python -m experiments.edit --components=runs/w/components.npz \
        --latents=runs/own/latents.npz --edit="E(v3)=2" --workdir=runs/edit

--images names files and folders; repeat the flag, or separate names by commas. Pictures
are turned upright, cropped to the middle and resized in linear light. A bad picture is
named, and the other pictures are finished.

The latents start from those of the encoder in the generator's directory, or of
--encoder=DIR (experiments.train_encoder makes one). With --encoder=none, or where there
is none, they start from the nearest of many random images. --num_starts=16 tries
several of these, and is worth its time where there is no encoder. A conditional
generator without --label finds the class.

Writes into workdir: latents.npz (`ws` per-layer latents, `names`, and `label` of a
conditional generator; --latents of other commands reads it), reconstructions.png (rows:
pictures, at most 32; columns: own, found, difference), inversion.md and inversion.json
(PSNR, distance from the mean latent in standard deviations, class, seconds), and
run.flags. A remark names pictures below 24 dB, and those farther from the mean latent
than 99 % of the generator's own samples. Finished batches are saved in workdir/state,
and the same command continues a run that was stopped.
"""

import json
import pathlib

import numpy as np
from absl import flags

from ganspace_jax import command_line, own_pictures, shared_flags
from ganspace_jax.errors import InputError
from ganspace_jax.files import pictures, resume, tables
from ganspace_jax.run import Run
from ganspace_jax.sampling import inversion, inverted_batches, labels, latent_files, random_samples
from ganspace_jax.sampling.inversion import Inversion

FLAGS = flags.FLAGS
shared_flags.define("images", generator="stylegan2-scenes")
shared_flags.define_spec(Inversion, start=None)
shared_flags.define("encoder", "label", "batch_size", "compute_dtype", "workdir")

_MOST_ROWS = 32
_POOR_PSNR = 24.0  # dB; below it, the image shows another scene or lacks a part
_NUM_SAMPLES = 2000  # whose distances a picture's distance is compared with


def main():
    """Inverts all pictures."""
    with (
        command_line.outputs() as directory,
        command_line.stop_on_signals() as should_stop,
        command_line.progress_bar("inverting") as report,
    ):
        name, generator = command_line.load_generator()
        spec = inversion.resolve(_spec(), generator)
        label = labels.resolve(FLAGS.label, generator) if FLAGS.label is not None else None
        start_name, start = _start(name, generator)
        print(f"start: {start_name}; latent space: {spec.latent_space}", flush=True)
        features = own_pictures.features(name, spec.loss)
        read = own_pictures.read(generator)
        state = pathlib.Path(FLAGS.workdir) / "state"
        run = Run(FLAGS.batch_size, state=state, report=report, should_stop=should_stop)
        settings = {"label": label, "start": start, "features": features}
        found, seconds = inverted_batches.invert(generator, read.images, spec, run, **settings)
        rows = _rows(generator, read.names, found, seconds, _hint(spec, start))
        _write(directory, read, found, rows)
    resume.discard(run)
    print(_table(rows, tables.aligned))
    print(f"{_summary(found)}\nwritten: {FLAGS.workdir}")


def _spec():
    return shared_flags.spec_from_flags(Inversion, start=FLAGS.start or "nearest")


def _start(name, generator):
    """Returns the start in words, and the encoder or None."""
    if FLAGS.start is not None:
        if FLAGS.encoder not in (None, own_pictures.NO_ENCODER):
            raise InputError(f"--start={FLAGS.start}: cannot be given beside --encoder; leave one of them out")
        return FLAGS.start, None
    directory, found = own_pictures.load_encoder(name, generator)
    return ("nearest", None) if found is None else (f"encoder {directory}", found)


def _hint(spec, start):
    """Returns what to try for a picture that is not found, or nothing."""
    alone = start is None and spec.start == "nearest" and spec.num_starts == 1
    return "; try --num_starts=16 --num_steps=600" if alone else ""


def _rows(generator, names, found, seconds, hint):
    """Returns one dictionary of figures for each picture."""
    farthest = _farthest(generator)
    rows = []
    for i, name in enumerate(names):
        row = {
            "name": name,
            "psnr": round(float(found.psnr[i]), 2),
            "distance": round(float(found.distance[i]), 2),
        }
        if found.label is not None:
            row["class"] = labels.describe(int(found.label[i].argmax()), generator).removeprefix("class ")
        remarks = []
        if row["psnr"] < _POOR_PSNR:
            remarks.append("poor: the image differs from the picture" + hint)
        if row["distance"] > farthest:
            remarks.append("farther from the mean than 99 % of samples: edits may fail")
        rows.append({**row, "seconds": round(float(seconds[i]), 2), "remark": "; ".join(remarks)})
    return rows


def _farthest(generator):
    """Returns the distance below which 99 % of the generator's own samples are."""
    own = random_samples.draw(generator, 0, _NUM_SAMPLES, seed=1).layers
    distances = inversion.distance(generator, inversion.estimate_prior(generator), own)
    return float(np.percentile(distances, 99))


def _write(directory, read, found, rows):
    latents = {"ws": found.latents, latent_files.NAMES: np.array(read.names)}
    _save(directory / "latents.npz", latents | ({"label": found.label} if found.label is not None else {}))
    (directory / "inversion.md").write_text(f"{_table(rows, tables.markdown)}\n\n{_summary(found)}\n")
    content = {"pictures": rows, "skipped": read.problems, "psnr": _percentiles(found.psnr)}
    (directory / "inversion.json").write_text(json.dumps(content, indent=2) + "\n")
    own, made = read.images[:_MOST_ROWS], found.images[:_MOST_ROWS]
    difference = 0.5 * (np.clip(made, -1.0, 1.0) - own)
    if own.shape[-1] == 4:
        difference[..., 3] = 1.0
    shown = f"first {_MOST_ROWS} of {len(rows)}; " if len(rows) > _MOST_ROWS else ""
    picture = pictures.labelled_rows(
        np.stack([own, made, difference], axis=1),
        [f"{row['name']}  {row['psnr']:.1f} dB" for row in rows[:_MOST_ROWS]],
        ["own", "found", "difference"],
        cell=96,
        title=f"{shown}grey: no difference",
    )
    pictures.save_png(directory / "reconstructions.png", picture)


def _save(path, arrays):
    np.savez(path, **arrays)


def _table(rows, format_table):
    titles = {"name": "name", "psnr": "PSNR [dB]", "distance": "distance [sd]", "class": "class",
              "seconds": "seconds", "remark": "remark"}  # fmt: skip
    keys = [key for key in titles if key in rows[0] and any(row[key] != "" for row in rows)]
    return format_table([titles[key] for key in keys], [[_text(row[key]) for key in keys] for row in rows])


def _text(value):
    return value if isinstance(value, str) else f"{value:.2f}"


def _percentiles(psnr):
    return {"median": round(float(np.median(psnr)), 2), "10th_percentile": round(float(np.percentile(psnr, 10)), 2)}


def _summary(found):
    figures = _percentiles(found.psnr)
    return f"PSNR: median {figures['median']:.1f} dB, 10th percentile {figures['10th_percentile']:.1f} dB"


if __name__ == "__main__":
    command_line.start(main, needs=("images", "workdir"))
