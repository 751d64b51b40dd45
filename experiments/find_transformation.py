r"""Finds the direction of a wanted transformation, such as a shift, without labels.

    python -m experiments.find_transformation --generator=stylegan2-scenes \
        --transformation=horizontal --workdir=runs/horizontal
    python -m experiments.edit --components=runs/horizontal/components.npz \
        --edit=horizontal=2 --workdir=runs/edit
    python -m experiments.find_transformation \
        --flagfile=experiments/flags/transformation_stylegan2_scenes.flags

Transformations are horizontal and vertical (shifts in pixels), zoom and brightness (in
doublings), rotate (in degrees) and hue (in turns). The direction is the mean of the
moves by which the latent of each image follows the transformation's tangent. Where
these moves do not agree, no single direction makes the transformation, and a line says
so.

--compare=SCORE also scores random images, and compares the direction with the pattern
cov(w, score), which is found from labels.

Writes into workdir: components.npz with one named direction, transformation.md and
transformation.json (figures with 95 % intervals over images), NAME.png with a strip of
edits, and run.flags.
"""

import json

import jax.numpy as jnp
import numpy as np
from absl import flags

from ganspace_jax import command_line, named_scorers, shared_flags
from ganspace_jax.directions import components, edits
from ganspace_jax.directions.edits import Edit
from ganspace_jax.errors import InputError, nearest
from ganspace_jax.files import pictures, tables
from ganspace_jax.generators import synthesis
from ganspace_jax.measures import attribute_readouts
from ganspace_jax.methods import tangents
from ganspace_jax.methods.tangents import TangentSearch
from ganspace_jax.sampling import random_samples, scored_images

FLAGS = flags.FLAGS
shared_flags.define("generator", "scorer", "probe")
shared_flags.define_spec(TangentSearch)
flags.DEFINE_string("compare", None, "Score of --scorer with whose pattern the direction is compared.")
flags.DEFINE_integer("num_rows", 4, "Images in the strip.", lower_bound=1, upper_bound=1000)
shared_flags.define("num_columns", "sigma", "batch_size", "workdir")

_NUM_REFERENCE = 256  # images that give the standard deviations of a scorer


def main():
    """Writes the named direction and its report."""
    edits.check_sigma(FLAGS.sigma, f"--sigma={FLAGS.sigma}")
    spec = shared_flags.spec_from_flags(TangentSearch)
    with command_line.outputs() as directory:
        name, generator = command_line.load_generator()
        scorer = _scorer(name, generator, spec) if FLAGS.compare else None
        with command_line.progress_bar(spec.transformation) as report_progress:
            run = shared_flags.run_from_flags(report=report_progress, should_stop=lambda: False)
            found, moves = tangents.find(generator, spec, run, name=name)
        figures = tangents.judge(moves)
        if scorer is not None:
            figures |= _compared(generator, scorer, spec, moves)
        text = _table(spec.transformation, figures)
        components.save(directory / "components.npz", found)
        report = {key: one._asdict() for key, one in figures.items()}
        (directory / "transformation.md").write_text(text + "\n")
        (directory / "transformation.json").write_text(json.dumps(report, indent=2) + "\n")
        _draw(directory, generator, found, spec)
    print(text)
    if sentence := tangents.warning(spec.transformation, figures):
        print(sentence)
    print(f"written: {FLAGS.workdir}; edit with --edit={spec.transformation}=2")


def _scorer(name, generator, spec):
    """Returns the scorer of --compare. Raises InputError for an unknown score."""

    def reference():
        at = random_samples.draw(generator, 0, _NUM_REFERENCE, seed=spec.seed, label=spec.label)
        return np.concatenate(list(scored_images.images(generator, at.layers, at.weights)))

    scorer = named_scorers.load(FLAGS.scorer, reference, generator_name=name, probe_directory=FLAGS.probe)
    possible = [one for one, period in zip(scorer.names, scorer.periods, strict=True) if period is None]
    if FLAGS.compare not in possible:
        hint = nearest(FLAGS.compare, possible)
        raise InputError(f"--compare={FLAGS.compare}: no such score; {hint}there are {', '.join(possible)}")
    return scorer


def _compared(generator, scorer, spec, moves):
    """Returns the cosine of direction and pattern, and how well the read-out tells the
    score.
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
    pattern, spread = readout.boundary.pattern[0], np.nanstd(labelled.values[:, column])
    return {
        f"cosine with the pattern of {FLAGS.compare}": tangents.similarity(moves.moves, pattern),
        f"correlation with {FLAGS.compare}": tangents.correlation(moves, pattern, float(spread)),
    }


def _table(name, figures):
    cells = [f"{one.value:.3f} ({one.low:.3f} to {one.high:.3f})" for one in figures.values()]
    return tables.markdown(["transformation", *figures], [[name, *cells]])


def _draw(directory, generator, found, spec):
    """Draws one strip of images along the direction."""
    at = random_samples.draw(generator, 0, FLAGS.num_rows, seed=spec.seed + 2, label=found.spec.label)
    sigmas = np.linspace(-FLAGS.sigma, FLAGS.sigma, FLAGS.num_columns)
    steps = [Edit(spec.transformation, sigma=float(sigma)) for sigma in sigmas]
    moved = [edits.apply(jnp.asarray(at.layers), found, [step]) for step in steps]
    strips = np.stack([np.asarray(synthesis.synthesize(generator, w, label=at.weights)) for w in moved], axis=1)
    pictures.save_png(
        directory / f"{spec.transformation}.png",
        pictures.labelled_rows(
            strips, [f"image {row}" for row in range(len(strips))], [f"{sigma:+.1f}" for sigma in sigmas],
            title=f"{spec.transformation}; steps in standard deviations",
        ),
    )  # fmt: skip


if __name__ == "__main__":
    command_line.start(main, needs=("generator", "workdir"))
