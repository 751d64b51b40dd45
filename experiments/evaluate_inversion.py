r"""Measures how well pictures are inverted, and how well edits act on the latents.

    python -m experiments.evaluate_inversion \
        --components=runs/stylegan2_scenes_attributes/components.npz \
        --workdir=runs/evaluate_inversion
    python -m experiments.evaluate_inversion \
        --flagfile=experiments/flags/evaluate_inversion_stylegan2_scenes.flags

Held-out rendered scenes, with all shapes in equal numbers, are inverted by several
variants SPACE:PENALTY:START. The spaces are w and w+, or z for each layer's own z and
z-shared for one z. The starts are encoder, nearest and mean. By default all spaces and
four penalties start at the encoder, and the default spec also starts elsewhere. A
conditional generator has to find the class. The edits are the first principal
components, and those directions of --components whose names are factors.

Writes into workdir: inversions.md and inversions.json (figures with 95 % intervals over
images), tradeoff.png (amplitude of edits against PSNR; a ring marks the default), and
run.flags. Finished variants are saved in workdir/state, and the same command continues
a run that was stopped.
"""

import dataclasses
import functools
import json
import math
import pathlib
import time
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from absl import flags

from ganspace_jax import command_line, own_pictures, shared_flags
from ganspace_jax.directions import edited_images, edits
from ganspace_jax.directions.edits import Edit
from ganspace_jax.errors import InputError
from ganspace_jax.files import charts, resume
from ganspace_jax.generators import base, zoo
from ganspace_jax.measures import inverted_pictures
from ganspace_jax.measures.inverted_pictures import Instruments
from ganspace_jax.methods import decomposition
from ganspace_jax.methods.decomposition import Decomposition
from ganspace_jax.run import Progress, Run
from ganspace_jax.sampling import encoder, inversion, labels, random_samples
from ganspace_jax.sampling.inversion import Inversion, Inverted
from ganspace_jax.scenes import factors, probe, quality, rendering

FLAGS = flags.FLAGS
shared_flags.define("components", "latent_space", "probe", "encoder", generator="stylegan2-scenes")
flags.DEFINE_list("variants", None, "Variants SPACE:PENALTY:START, such as w+:1e-4:encoder; by default ten.")
flags.DEFINE_integer("num_images", 96, "Held-out scenes.", lower_bound=2)
flags.DEFINE_integer("num_components", 10, "Principal components among the edits.", lower_bound=1)
shared_flags.define("batch_size", num_samples=192, seed=4242)
flags.DEFINE_integer(
    "supersampling", 2, "Rays per pixel and axis, as in the generator's training.", lower_bound=1, upper_bound=16
)
shared_flags.define("workdir")

PENALTIES = (0.0, 1e-5, 1e-4, 1e-3)
STARTS = ("encoder", "nearest", "mean")
_NUM_COMPONENT_SAMPLES = 20_000
_NUM_REDRAWN = 4  # components whose edited images are redrawn
_NUM_DISTANCES = 2000  # samples whose distances a picture's distance is compared with
_SHARED = "z-shared"


class Variant(NamedTuple):
    """One way to invert."""

    space: str
    penalty: float
    start: str

    def __str__(self):
        """Returns the text of --variants."""
        return f"{self.space}:{self.penalty:g}:{self.start}"


def main():
    """Inverts the scenes by all variants, and measures them."""
    with (
        command_line.outputs() as directory,
        command_line.stop_on_signals() as should_stop,
        command_line.progress_bar("variants") as report,
    ):
        named = command_line.load_components() if FLAGS.components else None
        name, generator = command_line.load_generator(named)
        default = inversion.resolve(Inversion(), generator)
        default = Variant(str(default.latent_space), float(default.penalty or 0.0), STARTS[0])
        variants = _variants(generator, default)
        start = _encoder(name, generator, variants)
        scenes, images = _scenes(generator)
        run = Run(FLAGS.batch_size, should_stop=should_stop)
        _states().mkdir(exist_ok=True)
        instruments = _instruments(generator, named)
        measure = functools.partial(_measure, instruments, _samples(instruments, run), scenes, run)
        rows = {"samples": measure(None, 0.0)}
        for done, variant in enumerate(variants):
            report(Progress(done, len(variants), "variant", str(variant)))
            rows[str(variant)] = measure(*_inverted(generator, images, variant, run, start))
        report(Progress(len(variants), len(variants), "variant", ""))
        tables = [inverted_pictures.table(rows, chosen) for chosen in inverted_pictures.TABLES]
        text = "\n\n".join(tables)
        (directory / "inversions.md").write_text(text + "\n")
        (directory / "inversions.json").write_text(json.dumps(inverted_pictures.as_json(rows), indent=2) + "\n")
        _draw(directory / "tradeoff.png", rows, variants, default)
    for variant in variants:
        resume.discard(_stored(run, variant))
    _states().rmdir()
    print(text)


def _variants(generator, default):
    """Returns the variants of --variants, or all of this generator.

    Raises InputError for a text that is none.
    """
    spaces = ("w+", "w") if generator.has_mapping else ("z", _SHARED)
    if FLAGS.variants is not None:
        return [_parse(text, spaces) for text in FLAGS.variants]
    compared = [Variant(space, penalty, STARTS[0]) for space in spaces for penalty in PENALTIES]
    return [*compared, *(default._replace(start=start) for start in STARTS[1:])]


def _parse(text, spaces):
    space, _, rest = text.partition(":")
    penalty, _, start = rest.partition(":")
    try:
        weight = float(penalty)
    except ValueError:
        weight = math.nan
    if space not in spaces or start not in STARTS or not 0 <= weight < math.inf:
        raise InputError(
            f"--variants={text}: must be SPACE:PENALTY:START, with {' or '.join(spaces)}, a number of at least 0, and "
            f"{' or '.join(STARTS)}"
        )
    return Variant(space, weight, start)


def _encoder(name, generator, variants):
    found = own_pictures.load_encoder(name, generator)[1]
    if found is None and any(variant.start == STARTS[0] for variant in variants):
        raise InputError(f"--variants: begin at an encoder, but {name} has none; name other starts, or --encoder")
    return None if found is None else functools.partial(encoder.encode, found)


def _scenes(generator):
    """Returns the factors of the held-out scenes, and their images."""
    scenes = factors.sample_factors(jax.random.key(FLAGS.seed), FLAGS.num_images)
    scenes = scenes._replace(shape=jnp.arange(FLAGS.num_images) % len(factors.SHAPES))
    return scenes, np.asarray(rendering.render_in_chunks(scenes, generator.resolution, FLAGS.supersampling))


def _instruments(generator, named):
    """Returns the probe, and the steps of components and of named directions."""
    reader = probe.load(FLAGS.probe or probe.SHIPPED)
    scorer = probe.scorer(reader)
    label = "all" if generator.num_classes else None
    spec = Decomposition(num_samples=_NUM_COMPONENT_SAMPLES, num_components=FLAGS.num_components, label=label)
    found = decomposition.decompose(generator, spec)
    steps, wanted = _steps(generator, found), [None] * FLAGS.num_components
    if named is not None:
        edited_images.check_layer_latents(named, generator)
        columns = [scorer.names.index(one.name) if one.name in scorer.names else None for one in named.named]
        steps += [step for step, column in zip(_steps(generator, named), columns, strict=True) if column is not None]
        wanted += [column for column in columns if column is not None]

    def redraw(images):
        return np.asarray(quality.redraw(images, reader, FLAGS.supersampling)[1])

    return Instruments(
        generator, scorer, np.stack(steps), tuple(wanted), redraw, min(_NUM_REDRAWN, FLAGS.num_components)
    )


def _steps(generator, found):
    chosen = [edits.resolve(Edit(k), found) for k in range(len(found))]
    return [edits.unit_step(one, found, *generator.latent_shape) for one in chosen]


def _samples(instruments, run):
    """Returns the effects of the edits on samples, and the distances of samples."""
    generator = instruments.generator
    at = random_samples.draw(generator, 0, FLAGS.num_samples, seed=FLAGS.seed)
    many = random_samples.draw(generator, 0, _NUM_DISTANCES, seed=FLAGS.seed).layers
    distances = inversion.distance(generator, inversion.estimate_prior(generator), many)
    return inverted_pictures.edit(instruments, (at.layers, at.weights), run), distances


def _measure(instruments, samples, scenes, run, found, seconds):
    """Returns the figures of one variant, or those of the samples for None."""
    edited, distances = samples
    farthest = float(np.percentile(distances, 95))
    if found is None:
        own = inverted_pictures.distances(distances, farthest)
        return {**own, **inverted_pictures.editability(instruments, edited, edited)}
    own = inverted_pictures.edit(instruments, (found.latents, found.label), run)
    return {
        **inverted_pictures.recovery(
            instruments.scorer, found, probe.factor_values(scenes), farthest=farthest,
            classes=np.asarray(scenes.shape),
        ),
        **inverted_pictures.editability(instruments, own, edited),
        "seconds": inverted_pictures.known(seconds, 3),
    }  # fmt: skip


def _inverted(generator, images, variant, run, start):
    """Returns the inverted images, and the CPU seconds of one of them. A finished
    variant is read from its state.
    """
    stored = _stored(run, variant)
    record, spec = resume.of(stored), _spec(variant)
    record.begin_run(_about(generator, spec, variant))
    arrays = record.begin_sweep(_like(generator))
    if arrays is None:
        begin = start if variant.start == STARTS[0] else None
        _compile(generator, images, spec, run, begin)
        began = time.process_time()
        found = inversion.invert(generator, images, spec, run, start=begin)
        arrays = {key: np.asarray(value, np.float32) for key, value in found._asdict().items() if value is not None}
        arrays["seconds"] = np.full(1, (time.process_time() - began) / len(images), np.float32)
        record.finish_sweep(arrays)
        record.keep(0, {"nothing": np.zeros(1, np.float32)})
    arrays = {key: np.asarray(value) for key, value in arrays.items()}
    seconds = float(arrays.pop("seconds")[0])
    return Inverted(**{"label": None, **arrays}), seconds


def _states():
    return pathlib.Path(FLAGS.workdir) / "state"


def _stored(run, variant):
    return dataclasses.replace(run, state=_states() / str(variant).replace(":", "_"), save_every=0.0)


def _spec(variant):
    start = "nearest" if variant.start == STARTS[0] else variant.start
    if variant.space != _SHARED:
        return Inversion(latent_space=variant.space, start=start, penalty=variant.penalty)
    every = Inversion(latent_space="z", start=start, penalty=variant.penalty)
    return dataclasses.replace(every, num_steps_shared=every.num_steps_shared + every.num_steps, num_steps=0)


def _about(generator, spec, variant):
    return {
        "fingerprint": zoo.fingerprint(generator),
        **{name: FLAGS[name].value for name in ("num_images", "seed", "batch_size", "supersampling", "encoder")},
        "variant": str(variant),
        **dataclasses.asdict(spec),
    }


def _like(generator):
    shapes = {
        "latents": generator.latent_shape,
        "images": base.image_shape(generator),
        **dict.fromkeys(("psnr", "distance"), ()),
        **({"label": (generator.num_classes,)} if labels.act_on_images(generator) else {}),
    }
    like = {key: np.zeros((FLAGS.num_images, *shape), np.float32) for key, shape in shapes.items()}
    return {**like, "seconds": np.zeros(1, np.float32)}


def _compile(generator, images, spec, run, begin):
    """Runs one step of each stage, so that no program is compiled while time is
    taken.
    """
    short = dataclasses.replace(spec, num_steps_shared=1, num_steps=1, num_nearest=1)
    inversion.invert(generator, images, short, run, start=begin, label=0 if generator.num_classes else None)


def _draw(path, rows, variants, default):
    """Draws the variants that start as the default does."""
    shown = [variant for variant in variants if variant.start == default.start]
    if not shown:
        return

    def figures(key):
        return np.array([rows[str(variant)][key] for variant in shown])

    charts.tradeoff(
        path,
        gains={
            "PSNR, 10th percentile (dB)": figures("psnr_low"),
            "PSNR, median (dB)": figures("psnr_median"),
        },
        cost=figures("amplitude_components"),
        cost_name="amplitude of edits, relative to samples",
        groups=[variant.space for variant in shown],
        labels=[f"{variant.penalty:g}" for variant in shown],
        marked=shown.index(default) if default in shown else None,
        line=1.0,
    )


if __name__ == "__main__":
    command_line.start(main, needs=("generator", "workdir"))
