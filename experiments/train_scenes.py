r"""Trains a generator on the procedural scenes.

    python -m experiments.train_scenes \
        --flagfile=experiments/flags/train_stylegan2_scenes.flags \
        --workdir=runs/stylegan2
    python -m experiments.train_scenes \
        --flagfile=experiments/flags/train_biggan_deep_scenes.flags \
        --workdir=runs/biggan

Writes into workdir: samples/*.png during training, metrics.jsonl, state/ (the same
command continues a run that Ctrl-C or SIGTERM stopped), generator/ (the averaged
weights, a checkpoint directory for every other experiment) and discriminator/, with
which --grow_from begins a run of twice the resolution.
"""

import functools
import pathlib

import jax
from absl import flags

from ganspace_jax import command_line, errors, shared_flags
from ganspace_jax.errors import InputError
from ganspace_jax.files import outputs, trainings
from ganspace_jax.generators import biggan_deep, stylegan2
from ganspace_jax.sampling import devices
from ganspace_jax.scenes import factors
from ganspace_jax.scenes.rendering import render
from ganspace_jax.scenes.training import adversarial, growing, loop
from ganspace_jax.scenes.training import discriminator as discriminators
from ganspace_jax.scenes.training.adversarial import Recipe

FLAGS = flags.FLAGS
shared_flags.define("workdir", "seed")
flags.DEFINE_enum("family", "stylegan2", ["stylegan2", "biggan_deep"], "Architecture; BigGAN gets the shape as label.")
flags.DEFINE_list("channels", ["96", "96", "64", "32"], "StyleGAN2: channels at 4x4, 8x8, ...; sets the resolution.")
flags.DEFINE_integer("mapping_layers", 4, "StyleGAN2: depth of the mapping network.", lower_bound=1, upper_bound=64)
flags.DEFINE_integer("channel_width", 48, "BigGAN: channels of a block of width 1.", lower_bound=8, upper_bound=1024)
flags.DEFINE_list(
    "blocks", ["4-4", "4-4up", "4-4", "4-2up", "2-2", "2-1up"], "BigGAN: widths in and out; `up` doubles the size."
)
flags.DEFINE_integer("attention_position", 4, "BigGAN: the block before which attention stands; -1: no attention.")
flags.DEFINE_list("discriminator_channels", ["32", "48", "64", "96"], "Discriminator: from the full size to 4x4.")
flags.DEFINE_integer("latent_dim", 64, "Size of z, and of w or the class embedding.", lower_bound=1, upper_bound=4096)
flags.DEFINE_string(
    "grow_from", None, "Work directory or model directory of networks of half this resolution, or of the same."
)
shared_flags.define_spec(Recipe, leave_out=("r1_interval", "batch_statistics"))
flags.DEFINE_integer("supersampling", 2, "Rays per pixel and axis of the real images.", lower_bound=1, upper_bound=16)
flags.DEFINE_list("fixed_factors", [], "Factors that are constant in the real images, as NAME=VALUE.")
flags.DEFINE_list("tied_factors", [], "Pairs LEADER=FOLLOWER: in the real images, the second follows the first.")
flags.DEFINE_integer("cpu_devices", 1, "Parts into which a CPU splits a batch; best: one per core.", lower_bound=1)
flags.DEFINE_integer("sample_every", 20_000, "Images between two sample pictures.", lower_bound=1)
flags.DEFINE_float("save_every", 300.0, "Seconds between two saves of the state.", lower_bound=0.0)

_MAX_CHANNELS = 4096
_NOT_IN_RESULT = ("workdir", "num_images", "sample_every", "save_every", "cpu_devices")  # a resumed run may change them


def main():
    """Trains until --num_images."""
    devices.use_cpu_devices(FLAGS.cpu_devices)
    workdir = pathlib.Path(FLAGS.workdir)
    about = command_line.settings(leave_out=_NOT_IN_RESULT)
    with outputs.claim(FLAGS.workdir), command_line.stop_on_signals() as should_stop:
        trainings.check(workdir, about)
        program, state = _program()
        trainings.begin(workdir, about, command_line.flagfile())
        intervals = loop.Intervals(FLAGS.sample_every, FLAGS.save_every)
        with command_line.progress_bar("training") as report:
            loop.run(program, state, workdir, intervals, report, should_stop)
    print(f"generator: {workdir / 'generator'}")


def _program():
    """Returns what determines the steps, and the first state."""
    recipe = shared_flags.spec_from_flags(Recipe, batch_statistics=FLAGS.family == "biggan_deep")
    init_key, train_key = jax.random.split(jax.random.key(FLAGS.seed))
    generator, discriminator = _networks(init_key)
    render_batch = functools.partial(
        _render_batch,
        resolution=generator.config.resolution,
        supersampling=FLAGS.supersampling,
        num_classes=generator.num_classes,
        limits=(factors.parse_fixed(FLAGS.fixed_factors), factors.parse_tied(FLAGS.tied_factors)),
    )
    networks, state = adversarial.init(generator, discriminator, recipe)
    return loop.Program(networks, recipe, render_batch, train_key), state


def _networks(key):
    keys = jax.random.split(key)
    generator = _stylegan2(keys[0]) if FLAGS.family == "stylegan2" else _biggan_deep(keys[0])
    config = discriminators.Config(
        channels=shared_flags.integers_from_flag("discriminator_channels", 1, _MAX_CHANNELS),
        num_classes=generator.num_classes,
        equalized=not FLAGS.spectral_norm,
    )
    if 4 * 2 ** (len(config.channels) - 1) != generator.config.resolution:
        raise InputError(
            f"--discriminator_channels: {len(config.channels)} numbers; must be one for each size from "
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
        channels=shared_flags.integers_from_flag("channels", 1, _MAX_CHANNELS),
        mapping_layers=FLAGS.mapping_layers,
        use_noise=False,  # nothing in a scene is random once its factors are known
    )
    return stylegan2.StyleGAN2(config, key=key)


def _biggan_deep(key):
    try:
        blocks = biggan_deep.parse_blocks(FLAGS.blocks)
    except ValueError as error:
        raise InputError(f"--{errors.first_line(error)}") from None
    if not -1 <= FLAGS.attention_position < len(blocks):
        raise InputError(
            f"--attention_position={FLAGS.attention_position}: must be from 0 to {len(blocks) - 1}, or -1 for no attention"
        )
    config = biggan_deep.Config(
        z_dim=FLAGS.latent_dim,
        num_classes=len(factors.SHAPES),
        channel_width=FLAGS.channel_width,
        blocks=blocks,
        attention_position=FLAGS.attention_position,
        class_names=factors.SHAPES,
    )
    return biggan_deep.BigGANDeep(config, key=key)


def _render_batch(key, num_images, resolution, supersampling, num_classes, limits):
    shown = factors.restrict(factors.sample_factors(key, num_images), *limits)
    labels = jax.nn.one_hot(shown.shape, num_classes) if num_classes else None
    return adversarial.Batch(render(shown, resolution, supersampling), labels)


if __name__ == "__main__":
    command_line.start(main, needs=("workdir",))
