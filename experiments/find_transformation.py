r"""Finds the direction of a wanted transformation, such as a shift, without labels.

    python -m experiments.find_transformation --generator=stylegan2-scenes \
        --transformation=horizontal --workdir=runs/horizontal
    python -m experiments.edit --components=runs/horizontal/components.npz \
        --edit=horizontal=2 --workdir=runs/edit
    python -m experiments.find_transformation \
        --flagfile=experiments/flags/transformation_stylegan2_scenes.flags

Transformations are horizontal and vertical (shifts in pixels), zoom and brightness (in
doublings), rotate (in degrees) and hue (in turns). The direction is the mean of the
moves by which the latent of each image follows the transformation's tangent. If these
moves do not agree, no single direction makes the transformation, and a line is printed.

--method=trajectories moves latents by Adam until their images show the transformed
images, for growing amounts of both signs (Plumerault et al. 2020). A direction and a
monotone curve are fitted to them, so that --edit=horizontal:=4 sets an amount.
--compare_direct repeats the descents from each image's own latent.

--compare=SCORE also scores random images, and compares the direction with the pattern
cov(w, score), which is found from labels.

Writes into workdir: components.npz with one named direction, run.flags,
transformation.md and transformation.json (figures with 95 % intervals over images).
NAME.png is a strip of edits; trajectories.png has targets and found images.
"""

import dataclasses
import json

import numpy as np
from absl import flags

from ganspace_jax import command_line, named_scorers, shared_flags
from ganspace_jax.directions import components, edited_images, edits
from ganspace_jax.directions.edited_images import View
from ganspace_jax.directions.edits import Edit
from ganspace_jax.errors import InputError, nearest
from ganspace_jax.files import pictures, tables
from ganspace_jax.generators import base
from ganspace_jax.generators.synthesis import Synthesis
from ganspace_jax.measures import attribute_readouts
from ganspace_jax.methods import image_transforms, tangents, trajectories
from ganspace_jax.methods.tangents import TangentSearch
from ganspace_jax.methods.trajectories import TrajectorySearch
from ganspace_jax.sampling import random_samples, scored_images
from ganspace_jax.statistics import bootstrap

FLAGS = flags.FLAGS
shared_flags.define("generator", "scorer", "probe")
flags.DEFINE_enum("method", "tangents", ["tangents", "trajectories"], "How the direction is found.")
_SHARED = ("transformation", "label", "num_images", "num_samples", "seed")
shared_flags.define_spec(TangentSearch, leave_out=("transformation", "label", "num_images", "num_samples", "seed"))
shared_flags.define_spec(TrajectorySearch)
flags.DEFINE_bool("compare_direct", False, "Whether trajectories are also followed without recursion.")
flags.DEFINE_string("compare", None, "Score of --scorer with whose pattern the direction is compared.")
flags.DEFINE_integer("num_rows", 4, "Images in the strip.", lower_bound=1, upper_bound=1000)
shared_flags.define("num_columns", "sigma", "batch_size", "workdir")

_NUM_REFERENCE = 256  # images that give the standard deviations of a scorer


def main():
    """Writes the named direction and its report."""
    edits.check_sigma(FLAGS.sigma, f"--sigma={FLAGS.sigma}")
    follows = FLAGS.method == "trajectories"
    spec = shared_flags.spec_from_flags(TrajectorySearch if follows else TangentSearch)
    _check_unused(TangentSearch if follows else TrajectorySearch, [] if follows else ["compare_direct"])
    with command_line.outputs() as directory:
        name, generator = command_line.load_generator()
        scorer = _scorer(name, generator, spec) if FLAGS.compare else None
        with command_line.progress_bar(spec.transformation) as report_progress:
            run = shared_flags.run_from_flags(report=report_progress, should_stop=lambda: False)
            find = _from_trajectories if follows else _from_tangents
            found, moves, report, remark = find(generator, spec, run, name, directory)
        if scorer is not None:
            report["figures"] |= _compared(generator, scorer, spec, found, moves)
        text = _text(spec.transformation, report)
        components.save(directory / "components.npz", found)
        (directory / "transformation.md").write_text(text + "\n")
        (directory / "transformation.json").write_text(json.dumps(_as_json(report), indent=2) + "\n")
        _draw(directory, generator, found, spec)
    print(text)
    if remark:
        print(remark)
    print(f"written: {FLAGS.workdir}; edit with --edit={spec.transformation}=2")


def _check_unused(other, names):
    """Raises InputError for a flag that only the other method reads."""
    names = [*names, *(field.name for field in dataclasses.fields(other) if field.name not in _SHARED)]
    for name in names:
        if FLAGS[name].value != FLAGS[name].default:
            raise InputError(f"--{name}={FLAGS[name].value}: --method={FLAGS.method} does not use it; leave it out")


def _from_tangents(generator, spec, run, name, _):
    """Returns components, moves of the images, figures and a remark."""
    found, moves = tangents.find(generator, spec, run, name=name)
    figures = tangents.judge(moves)
    return found, moves.moves, {"figures": figures}, tangents.warning(spec.transformation, figures)


def _from_trajectories(generator, spec, run, name, directory):
    """Returns components, moves of the images, figures and a remark; draws some
    trajectories.
    """
    found, followed, fitted = trajectories.find(generator, spec, run, name=name)
    columns = {"PSNR": followed.psnr, "squared distance": np.square(followed.distances)}
    if FLAGS.compare_direct:
        direct = trajectories.follow(generator, dataclasses.replace(spec, recursive=False), run)
        columns |= {"PSNR, direct": direct.psnr, "gain of recursion": followed.psnr - direct.psnr}
    rows = [
        {"amount": float(t)} | {key: bootstrap.figure(np.nanmedian, values[:, k]) for key, values in columns.items()}
        for k, t in enumerate(followed.amounts)
        if t
    ]
    ends = {
        f"{key} at {abs(followed.amounts[-1]):g}": bootstrap.figure(np.nanmedian, values[:, [0, -1]].mean(1))
        for key, values in columns.items()
    }
    _draw_trajectories(directory, generator, spec, followed)
    figures = {**ends, "error of the curve": bootstrap.Figure(fitted.error, np.nan, np.nan)}
    return found, trajectories.slopes(followed), {"figures": figures, "amounts": rows}, ""


def _scorer(name, generator, spec):
    """Returns the scorer of --compare. Raises InputError for an unknown score, or for a
    latent space that has no pattern.
    """
    if FLAGS.method == "trajectories" and spec.latent_space not in (None, generator.latent_space):
        raise InputError(f"--compare={FLAGS.compare}: compares directions in {generator.latent_space} only")

    def reference():
        at = random_samples.draw(generator, 0, _NUM_REFERENCE, seed=spec.seed, label=spec.label)
        return np.concatenate(list(scored_images.images(generator, at.layers, at.weights)))

    scorer = named_scorers.load(FLAGS.scorer, reference, generator_name=name, probe_directory=FLAGS.probe)
    possible = [one for one, period in zip(scorer.names, scorer.periods, strict=True) if period is None]
    if FLAGS.compare not in possible:
        hint = nearest(FLAGS.compare, possible)
        raise InputError(f"--compare={FLAGS.compare}: no such score; {hint}there are {', '.join(possible)}")
    return scorer


def _compared(generator, scorer, spec, found, moves):
    """Returns the cosine of direction and pattern, and the correlation of the read-out
    with the score.
    """
    with command_line.progress_bar("scores") as report:
        run = shared_flags.run_from_flags(report=report, should_stop=lambda: False)
        labelled = attribute_readouts.measure(
            generator, scorer, spec.num_samples, seed=spec.seed, label=spec.label, run=run
        )
    column = scorer.names.index(FLAGS.compare)
    readout = labelled.readouts[column]
    if readout is None:
        raise InputError(f"--compare={FLAGS.compare}: too few of {spec.num_samples} images show it")
    pattern, read = readout.boundary.pattern[0], np.asarray(found.named[0].read, np.float64)
    spread = np.nanstd(labelled.values[:, column]) * np.sqrt(read @ labelled.prior.covariance @ read)
    return {
        f"cosine with the pattern of {FLAGS.compare}": tangents.similarity(moves, pattern),
        f"correlation with {FLAGS.compare}": bootstrap.Figure(float(abs(read @ pattern) / spread), np.nan, np.nan),
    }


def _as_json(report):
    """Returns a report with its figures as names and values; NaN becomes None."""
    if isinstance(report, bootstrap.Figure):
        return {key: None if np.isnan(value) else value for key, value in report._asdict().items()}
    if isinstance(report, dict):
        return {key: _as_json(value) for key, value in report.items()}
    return [_as_json(one) for one in report] if isinstance(report, list) else report


def _text(name, report):
    """Returns the table of figures, and that of all amounts."""
    text = tables.markdown(["transformation", *report["figures"]], [[name, *map(_cell, report["figures"].values())]])
    if rows := report.get("amounts"):
        cells = [[f"{row['amount']:+g}", *map(_cell, list(row.values())[1:])] for row in rows]
        text += "\n\n" + tables.markdown(list(rows[0]), cells)
    return text


def _cell(one):
    digits = 3 if abs(one.value) < 2 else 1
    interval = "" if np.isnan(one.low) else f" ({one.low:.{digits}f} to {one.high:.{digits}f})"
    return f"{one.value:.{digits}f}{interval}"


def _draw_trajectories(directory, generator, spec, followed):
    """Draws the targets and the images of the first trajectories."""
    transform = image_transforms.for_images(spec.transformation, base.image_shape(generator))
    rows, names = [], []
    for number in range(min(FLAGS.num_rows, len(followed.latents))):
        made = trajectories.images(generator, followed, number)
        own = made[followed.amounts == 0.0]
        targets = [transform.apply(own, float(t)) for t in followed.amounts]
        rows += [np.concatenate([np.where(mask > 0, image, 1.0) for image, mask in targets]), made]
        names += [f"target {number}", f"image {number}"]
    columns, title = [f"{t:+g}" for t in followed.amounts], f"{spec.transformation}, in {transform.unit}"
    pictures.save_png(
        directory / "trajectories.png", pictures.labelled_rows(np.stack(rows), names, columns, title=title)
    )


def _draw(directory, generator, found, spec):
    """Draws one strip of images along the direction, from published seeds."""
    sigmas = np.linspace(-FLAGS.sigma, FLAGS.sigma, FLAGS.num_columns)
    columns = [[Edit(spec.transformation, sigma=float(sigma))] for sigma in sigmas]
    starts, view, label = [], View(), found.spec.label
    for row in range(FLAGS.num_rows):
        if generator.num_classes:
            view = View(Synthesis(label=label if isinstance(label, int) else row % generator.num_classes))
        starts.append((edited_images.start_of_seed(generator, row + 1, view.synthesis), view))
    strips = [np.asarray(edited_images.edited_images(generator, found, start, columns, own)) for start, own in starts]
    title = f"{spec.transformation}; steps in standard deviations"
    names, steps = [start.name for start, _ in starts], [f"{sigma:+.1f}" for sigma in sigmas]
    pictures.save_png(
        directory / f"{spec.transformation}.png", pictures.labelled_rows(np.stack(strips), names, steps, title=title)
    )


if __name__ == "__main__":
    command_line.start(main, needs=("generator", "workdir"))
