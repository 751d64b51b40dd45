r"""Compares all methods that find directions, with the same numbers on the same images.

    python -m experiments.compare --generator=stylegan2-scenes --workdir=runs/compare
    python -m experiments.compare --generator=runs/faces --scorer=statistics \
        --methods=pca,image_jacobian,random --workdir=runs/compare_faces
    python -m experiments.compare \
        --flagfile=experiments/flags/compare_stylegan2_scenes.flags

Writes into workdir: compare.csv with every figure, compare.md with the tables,
compare.png and run.flags. Figures are means over seeds, with 95 % intervals of a
bootstrap that draws seeds, then images. measured/ keeps each finished method and seed.
So the same command continues a run that was stopped, and another --methods or
--num_seeds computes only what is missing.

A scorer without derivatives chooses directions by differences in the span of read-outs
and leading components. The steps that measure them are whole.
"""

import csv
import functools
import json
import pathlib
import zipfile

import numpy as np
from absl import flags

from ganspace_jax import command_line, named_scorers, shared_flags
from ganspace_jax.files import charts, outputs, pictures
from ganspace_jax.generators import zoo
from ganspace_jax.measures import compared_methods, comparison, comparison_tables
from ganspace_jax.measures.compared_methods import Comparison
from ganspace_jax.measures.comparison import Measured
from ganspace_jax.run import Progress
from ganspace_jax.sampling import random_samples, scored_images

FLAGS = flags.FLAGS
shared_flags.define("generator", "scorer", "probe")
shared_flags.define_spec(Comparison)
shared_flags.define("batch_size", "workdir")

_NUM_REFERENCE = 256  # images that give the standard deviations of a scorer
_EVERY_RUN = ("workdir", "methods", "num_seeds", "seed", "batch_size")  # do not change a measurement


def main():
    """Writes the tables and the picture."""
    spec = shared_flags.spec_from_flags(Comparison)
    with command_line.outputs() as directory:
        name, generator = command_line.load_generator()
        scorer = named_scorers.load(
            FLAGS.scorer, lambda: _reference(generator, spec), generator_name=name, probe_directory=FLAGS.probe
        )
        wanted = compared_methods.wanted_columns(scorer, spec.attribute)
        measured = _measured(generator, scorer, spec, wanted)
        is_category = np.isin(scorer.names, scorer.categories)
        linear = np.array([scorer.periods[column] is None for column in wanted])
        averaged = linear if linear.any() else ~linear
        summaries = {
            method: comparison.summarize(seeds, wanted, is_category, averaged) for method, seeds in measured.items()
        }
        scores = [scorer.names[column] for column in wanted]
        text = comparison_tables.markdown(summaries) + "\n\n" + comparison_tables.purities(summaries, scores)
        (directory / "compare.md").write_text(text + "\n")
        with (directory / "compare.csv").open("w", newline="") as file:
            csv.writer(file).writerows([comparison_tables.CSV_HEADER, *comparison_tables.csv_rows(summaries, scores)])
        drawn = charts.intervals(comparison_tables.panels(summaries), list(summaries))
        pictures.save_png(directory / "compare.png", drawn)
    print(text)
    print(f"written: {FLAGS.workdir}")


def _reference(generator, spec):
    at = random_samples.draw(generator, 0, _NUM_REFERENCE, seed=0, label=spec.label)
    return np.concatenate(list(scored_images.images(generator, at.layers, at.weights)))


def _measured(generator, scorer, spec, wanted):
    """Returns what each method found with each seed, from files where they exist."""
    directory = pathlib.Path(FLAGS.workdir) / "measured"
    about = json.dumps([command_line.settings(leave_out=_EVERY_RUN), zoo.fingerprint(generator)], sort_keys=True)
    found = {method: [] for method in compared_methods.method_names(generator, spec)}
    with (
        command_line.stop_on_signals() as should_stop,
        command_line.progress_bar("compare") as report,
    ):
        run = shared_flags.run_from_flags(report=report, should_stop=should_stop)
        total, done = len(found) * spec.num_seeds, 0
        for seed in spec.seeds():
            ground = functools.cache(lambda seed=seed: compared_methods.prepare(generator, scorer, spec, seed, run))
            for method, seeds in found.items():
                report(Progress(done, total, "run", f"{method}, seed {seed}"))
                one = _saved(directory / f"{method}_{seed}.npz", about)
                if one is None:
                    one = compared_methods.measure(ground(), method, wanted, run)
                    _save(directory, f"{method}_{seed}.npz", one, about)
                seeds.append(one)
                done += 1
        report(Progress(total, total, "run"))
    return found


def _save(directory, name, measured, about):
    with outputs.outputs(directory) as scratch:
        np.savez_compressed(scratch / name, about=about, **measured._asdict())


def _saved(path, about):
    """Returns a measurement; None if there is none with the same settings."""
    try:
        with np.load(path) as arrays:
            if str(arrays["about"]) != about:
                return None
            one = Measured(**{field: arrays[field] for field in Measured._fields})
            return one._replace(seconds=float(one.seconds))
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None


if __name__ == "__main__":
    command_line.start(main, needs=("generator", "workdir"))
