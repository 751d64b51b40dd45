"""Trains a generator on the procedural scenes.

    python -m experiments.train_scenes --flagfile=experiments/flags/train_stylegan2_scenes.flags --workdir=runs/stylegan2
    python -m experiments.train_scenes --flagfile=experiments/flags/train_biggan_deep_scenes.flags --workdir=runs/biggan

Writes into workdir: samples/*.png as it trains, metrics.jsonl, state/ (resumable: the same command continues a run that was
stopped), generator/ (the averaged weights, a checkpoint directory for every other experiment) and discriminator/, with which
--grow_from begins a run of twice the resolution.
"""

import contextlib
import functools
import pathlib
import sys

import jax
from absl import app, flags, logging
from tqdm import tqdm

from ganspace_jax.errors import InputError, one_line_errors
from ganspace_jax.files import outputs
from ganspace_jax.generators import biggan_deep, stylegan2
from ganspace_jax.sampling import devices as device_meshes
from ganspace_jax.scenes.factors import SHAPES, sample_factors
from ganspace_jax.scenes.rendering import render
from ganspace_jax.scenes.training import adversarial, growing, loop
from ganspace_jax.scenes.training import discriminator as discriminators

FLAGS = flags.FLAGS
flags.DEFINE_string("workdir", None, "Directory of the run; a run found there is continued.", required=True)
flags.DEFINE_enum("family", "stylegan2", ["stylegan2", "biggan_deep"], "Architecture; BigGAN gets the shape as label.")
flags.DEFINE_integer("seed", 0, "Seed of the weights, the data and the latents.")
flags.DEFINE_list("channels", ["96", "96", "64", "32"], "StyleGAN2: channels at 4x4, 8x8, ...; sets the resolution.")
flags.DEFINE_integer("mapping_layers", 4, "StyleGAN2: depth of the mapping network.", lower_bound=1)
flags.DEFINE_integer("channel_width", 48, "BigGAN: channels of a block of width 1.", lower_bound=8)
flags.DEFINE_list(
    "blocks", ["4-4", "4-4up", "4-4", "4-2up", "2-2", "2-1up"], "BigGAN: widths in and out; `up` doubles the size."
)
flags.DEFINE_integer("attention_position", 4, "BigGAN: the block before which attention stands.")
flags.DEFINE_list("discriminator_channels", ["32", "48", "64", "96"], "Discriminator: from the full size to 4x4.")
flags.DEFINE_integer("latent_dim", 64, "Size of z, and of w or the class embedding.", lower_bound=1)
flags.DEFINE_string(
    "grow_from",
    None,
    "Begin with networks of half this resolution, or the same: their workdir, or model directory.",
)
flags.DEFINE_integer("num_images", 1_000_000, "Length of the training, in real images.", lower_bound=1)
flags.DEFINE_integer("batch_size", 32, "Images a step.", lower_bound=1)
flags.DEFINE_float("learning_rate", 2.5e-3, "Of both networks (Adam).", lower_bound=0.0)
flags.DEFINE_float("decay", 0.4, "Last part of the training over which the learning rate falls.", 0.0, 1.0)
flags.DEFINE_enum("loss", "logistic", ["logistic", "hinge"], "Non-saturating logistic loss, or BigGAN's hinge loss.")
flags.DEFINE_bool("spectral_norm", False, "Of both networks.")
flags.DEFINE_float("r1_weight", 0.05, "Weight of the gradient penalty.", lower_bound=0.0)
flags.DEFINE_float("style_mixing", 0.5, "Share of images with two styles.", 0.0, 1.0)
flags.DEFINE_float("average_images", 8000, "Half-life of the moving average of the weights, in images.", lower_bound=1)
flags.DEFINE_integer("supersampling", 2, "Rays a pixel and axis of the real images.", lower_bound=1)
flags.DEFINE_integer("cpu_devices", 1, "On a CPU: split each batch over this many; best, one a core.", lower_bound=1)
flags.DEFINE_integer("sample_every", 20_000, "Images between sample grids.", lower_bound=1)
flags.DEFINE_float("save_every", 300.0, "Seconds between saved states.", lower_bound=0.0)


def main(_):
    """Trains until --num_images."""
    device_meshes.use_cpu_devices(FLAGS.cpu_devices)
    workdir = pathlib.Path(FLAGS.workdir)
    workdir.mkdir(parents=True, exist_ok=True)
    (workdir / "run.flags").write_text(outputs.flagfile(FLAGS.get_key_flags_for_module(sys.argv[0])))
    init_key, train_key = jax.random.split(jax.random.key(FLAGS.seed))
    recipe = adversarial.Recipe(
        num_images=FLAGS.num_images,
        batch_size=FLAGS.batch_size,
        learning_rate=FLAGS.learning_rate,
        decay=FLAGS.decay,
        r1_weight=FLAGS.r1_weight,
        style_mixing=FLAGS.style_mixing,
        average_images=FLAGS.average_images,
        loss=FLAGS.loss,
        spectral_norm=FLAGS.spectral_norm,
        batch_statistics=FLAGS.family == "biggan_deep",
    )
    generator, discriminator = _networks(init_key)
    render_batch = functools.partial(
        _render_batch,
        resolution=generator.config.resolution,
        supersampling=FLAGS.supersampling,
        num_classes=generator.num_classes,
    )
    networks, state = adversarial.init(generator, discriminator, recipe)
    program = loop.Program(networks, recipe, render_batch, train_key)
    intervals = loop.Intervals(FLAGS.sample_every, FLAGS.save_every)
    with _progress_bar() as report:
        loop.run(program, state, workdir, intervals, report)
    print(f"generator: {workdir / 'generator'}")


@contextlib.contextmanager
def _progress_bar():
    """Yields a function that shows a Progress as a bar."""
    with contextlib.ExitStack() as stack:
        bars = []

        def report(progress):
            if not bars:
                start = {"total": progress.total, "initial": progress.done, "unit": progress.unit}
                bars.append(stack.enter_context(tqdm(**start, smoothing=0.02, mininterval=10)))
            bars[0].update(progress.done - bars[0].n)

        yield report


def _networks(key):
    keys = jax.random.split(key)
    generator = _stylegan2(keys[0]) if FLAGS.family == "stylegan2" else _biggan_deep(keys[0])
    config = discriminators.Config(
        channels=tuple(int(c) for c in FLAGS.discriminator_channels),
        num_classes=generator.num_classes,
        equalized=not FLAGS.spectral_norm,
    )
    if 4 * 2 ** (len(config.channels) - 1) != generator.config.resolution:
        raise InputError(
            f"--discriminator_channels: {len(config.channels)} numbers; one is wanted for each size from "
            f"{generator.config.resolution} down to 4"
        )
    discriminator = discriminators.Discriminator(config, key=keys[1])
    if FLAGS.grow_from is None:
        return generator, discriminator
    before = pathlib.Path(FLAGS.grow_from)
    trained = before / "generator" if (before / "generator").is_dir() else before
    return (
        growing.grow_generator(generator, trained),
        growing.grow_discriminator(discriminator, before / "discriminator"),
    )


def _stylegan2(key):
    config = stylegan2.Config(
        z_dim=FLAGS.latent_dim,
        w_dim=FLAGS.latent_dim,
        channels=tuple(int(c) for c in FLAGS.channels),
        mapping_layers=FLAGS.mapping_layers,
        use_noise=False,  # nothing in a scene is random once its factors are known
    )
    return stylegan2.StyleGAN2(config, key=key)


def _biggan_deep(key):
    try:
        blocks = biggan_deep.parse_blocks(FLAGS.blocks)
    except ValueError as error:
        raise InputError(f"--{error}") from None
    config = biggan_deep.Config(
        z_dim=FLAGS.latent_dim,
        num_classes=len(SHAPES),
        channel_width=FLAGS.channel_width,
        blocks=blocks,
        attention_position=FLAGS.attention_position,
        class_names=SHAPES,
    )
    return biggan_deep.BigGANDeep(config, key=key)


def _render_batch(key, num_images, resolution, supersampling, num_classes):
    factors = sample_factors(key, num_images)
    labels = jax.nn.one_hot(factors.shape, num_classes) if num_classes else None
    return adversarial.Batch(render(factors, resolution, supersampling), labels)


if __name__ == "__main__":
    logging.set_verbosity(logging.WARNING)  # Orbax tells of every file at INFO
    app.run(one_line_errors(main))
