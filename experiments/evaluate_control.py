r"""Measures how precisely values are set, and how far hues turn.

    python -m experiments.evaluate_control \
        --components=runs/stylegan2_scenes_attributes/components.npz \
        --paths=object_hue,wall_hue,floor_hue,rotation --workdir=runs/control
    python -m experiments.evaluate_control \
        --flagfile=experiments/flags/control_stylegan2_scenes.flags

Each direction with a curve sets five values, over +-1.3 standard deviations, in
--num_samples random images: once by read-out and curve, and once in a closed loop. Each
value of --paths changes by a quarter and by half of its period in --num_paths images:
along paths that follow the local gradient, and along the straight direction of that
name. Writes into workdir: control.md, control.json and run.flags. The figures have 95 %
intervals over images.
"""

import functools
import json

import numpy as np
from absl import flags

from ganspace_jax import command_line, named_scorers, shared_flags
from ganspace_jax.directions import edited_images, edits, readouts
from ganspace_jax.directions.edits import Edit
from ganspace_jax.errors import InputError
from ganspace_jax.files import tables
from ganspace_jax.measures import local_paths, value_control, walks
from ganspace_jax.sampling import latent_prior, random_samples, scored_images

FLAGS = flags.FLAGS
shared_flags.define("generator", "components", "latent_space", "scorer", "probe", "label", num_samples=48, seed=7)
flags.DEFINE_list("paths", [], "Values that are changed along paths, such as object_hue,wall_hue.")
flags.DEFINE_integer("num_paths", 64, "Images whose values are changed along paths.", lower_bound=1)
shared_flags.define("workdir")

_NUM_REFERENCE = 256  # random images that give the standard deviations of a scorer
_SHARES = (0.25, 0.5)  # of a period
_NUM_STANDARD = 2.0  # standard deviations of a value without a period, which stand for half a period


def main():
    """Writes two tables."""
    with command_line.outputs() as directory:
        found = command_line.load_components()
        if not found.named:
            raise InputError("--components: have no names; make them with experiments.find_attribute")
        name, generator = command_line.load_generator(found)
        edited_images.check_layer_latents(found, generator)
        reference = functools.partial(
            named_scorers.reference_images, generator, found, num_samples=_NUM_REFERENCE, seed=0, label=FLAGS.label
        )
        scorer = named_scorers.load(FLAGS.scorer, reference, generator_name=name, probe_directory=FLAGS.probe)
        columns = {path: value_control.column_of(scorer, path) for path in FLAGS.paths}
        controls = _controls(generator, found, scorer)
        arrivals = {path: _arrivals(generator, found, scorer, column) for path, column in columns.items()}
        text = "\n\n".join([value_control.table(controls)] * bool(controls) + [_table(arrivals)] * bool(arrivals))
        report = {
            "control": {name: [one.as_json() for one in pair] for name, pair in controls.items()},
            "paths": {
                path: [[share, way, one._asdict()] for share, way, one in rows] for path, rows in arrivals.items()
            },
        }
        (directory / "control.md").write_text(text + "\n")
        (directory / "control.json").write_text(json.dumps(report, indent=2) + "\n")
    print(text)


def _read(generator, scorer, weights, latents):
    return np.concatenate([scorer.read(made) for made in scored_images.images(generator, latents, weights)])


def _draw(generator, found, count):
    label = found.spec.label if FLAGS.label is None else FLAGS.label
    return random_samples.draw(generator, 0, count, seed=FLAGS.seed, label=label)


def _controls(generator, found, scorer):
    at = _draw(generator, found, FLAGS.num_samples)
    read = functools.partial(_read, generator, scorer, at.weights)
    names = [one.name for k, one in enumerate(found.named) if readouts.has_curve(found, k) and one.name in scorer.names]
    control = functools.partial(value_control.measure_control, read, scorer, found, latents=at.layers)
    return {
        name: (control(name), control(name, num_rounds=value_control.NUM_ROUNDS))
        for name in names
        if scorer.periods[scorer.names.index(name)] is None
    }


def _arrivals(generator, found, scorer, column):
    """Returns (share of a period, way, arrival) of each way."""
    at = _draw(generator, found, FLAGS.num_paths)
    read, name = functools.partial(_read, generator, scorer, at.weights), scorer.names[column]
    shown = np.isfinite(read(at.layers)[:, column])
    latents, weights = at.layers[shown], None if at.weights is None else at.weights[shown]
    read = functools.partial(_read, generator, scorer, weights)
    period = scorer.periods[column] or 2 * _NUM_STANDARD * scorer.scales[column]
    with command_line.progress_bar(name) as report:
        path = local_paths.follow(
            generator, scorer, latent_prior.estimate(generator), column, np.full(len(latents), max(_SHARES) * period),
            (latents, weights), run=shared_flags.run_from_flags(report=report, should_stop=lambda: False),
        )  # fmt: skip
    walked = {"path": walks.walk(read, scorer, column, path.latents)}
    if name in [one.name for one in found.named]:
        step = edits.unit_step(edits.resolve(Edit(name), found), found, *latents.shape[1:])
        walked["straight"] = walks.straight_line(read, scorer, column, latents, step)
    return [
        (share, way, walks.arrival(one, share * period / scorer.scales[column]))
        for share in _SHARES
        for way, one in walked.items()
    ]


def _table(arrivals):
    header = [
        "value",
        "share of a period",
        "way",
        "images that arrive",
        "purity there",
        "others moved",
        "category flips",
    ]
    rows = []
    for path, ways in arrivals.items():
        for share, way, one in ways:
            figures = (one.arrived, one.purity, one.others, one.flips)
            cells = [_cell(*bounds) for bounds in zip(figures, one.low, one.high, strict=True)]
            rows.append([path.replace("_", " "), f"{share:g}", way, *cells])
    return tables.markdown(header, rows)


def _cell(value, low, high):
    """Returns a figure, with its interval if enough images arrive."""
    if not np.isfinite(value):
        return "unknown"
    return f"{value:.2f} ({low:.2f} to {high:.2f})" if np.isfinite([low, high]).all() else f"{value:.2f}"


if __name__ == "__main__":
    command_line.start(main, needs=("components", "workdir"))
