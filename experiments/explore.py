r"""Opens a page on which a person moves the sliders of directions.

    python -m experiments.explore
    python -m experiments.explore --generator=stylegan2-scenes \
        --components=runs/stylegan2_scenes_w/components.npz --workdir=runs/explore

Prints a link when all is ready; Ctrl-C ends the program. Without --components, the
generator is decomposed first, once, into workdir/components. Further --components, such
as boundaries or edits of the original's viewer (.pkl), become sliders beside those of
the first file.

Own pictures stand beside seeds and the mean latent. --images=me.png,photos finds their
latents before the page opens, as experiments.invert does, and the page takes more of
them. --latents=FILE adds latents that were found before.

All that is kept, saved or exported is in workdir. The page opens on this machine only,
also through an SSH tunnel. With --host of another address, or --token, the link
contains a random token, and only who has the link can use the page.
"""

import itertools
import pathlib

from absl import flags

from experiments.explorer import directions, inverting, keeping, scoring, sources, writing
from experiments.explorer.explorer import Explorer
from experiments.explorer.exporting import Origins
from experiments.explorer.keeping import Shelf
from experiments.explorer.rendering import Renderer
from ganspace_jax import command_line, own_pictures, shared_flags
from ganspace_jax.command_line import Stopped
from ganspace_jax.directions import components as components_file
from ganspace_jax.directions import edited_images, foreign_files
from ganspace_jax.errors import InputError
from ganspace_jax.files import outputs as output_files
from ganspace_jax.files import resume
from ganspace_jax.generators import zoo
from ganspace_jax.methods import decomposition
from ganspace_jax.methods.decomposition import Decomposition

FLAGS = flags.FLAGS
shared_flags.define("generator")
flags.DEFINE_multi_string(
    "components", [], "File of directions, of experiments.decompose or of another program. Repeat the flag for several."
)
shared_flags.define("latent_space", "latents", "images", "encoder", "label")
flags.DEFINE_string(
    "scorer", None, "Reader of the images, which tells what directions change; none; by default the probe for scenes."
)
flags.DEFINE_string("workdir", "runs/explore", "Directory of all that is kept, saved or exported.")
flags.DEFINE_string("host", "127.0.0.1", "Address on which the page opens.")
flags.DEFINE_integer("port", 0, "Port of the page; 0: any free one.", lower_bound=0, upper_bound=65535)
flags.DEFINE_bool("token", False, "Make a link with a random token, as behind Colab's proxy.")

_GENERATOR = "stylegan2-scenes"
_NUM_COMPONENTS = 20
_NUM_SAMPLES, _NUM_SLOW_SAMPLES = 100_000, 10_000  # the second number where each sample needs a part of an image


def main():
    """Serves the page until a signal comes."""
    server = _server()
    workdir = pathlib.Path(FLAGS.workdir)
    with output_files.claim(FLAGS.workdir), server.bound(FLAGS.host, FLAGS.port) as bound:
        explorer = _explorer(workdir)
        print("compiling ...", flush=True)
        explorer.compile()
        token = server.new_token() if FLAGS.token or FLAGS.host not in server.LOOPBACK else ""
        print(f"open {server.link(bound, FLAGS.host, token)}  (Ctrl-C ends)", flush=True)
        try:
            server.run(server.application(explorer, (*server.LOOPBACK, FLAGS.host), token), bound)
        except Stopped as stopped:
            raise Stopped(stopped.status - 128, f"stopped; what was kept, saved or exported is in {workdir}") from None
        finally:
            explorer.stop()


def _server():
    """Returns the module that serves the page, whose packages are an optional extra."""
    try:
        from experiments.explorer import server
    except ModuleNotFoundError as error:
        if error.name not in ("starlette", "uvicorn"):
            raise
        raise InputError(f"{error.name} is not installed: pip install -r requirements-explore.txt") from None
    return server


def _explorer(workdir):
    """Returns the explorer of the flags."""
    paths = FLAGS.components or [_decomposed(workdir)]
    files = [(path, command_line.load_components(path)) for path in paths]
    name, generator = command_line.load_generator(files[0][1])
    kept, sentences = keeping.read_folder(workdir / "kept")
    parts = sources.all_sources(files, name, generator)
    found = _with_moves(name, generator, keeping.with_unknown(kept, parts, generator))
    invert = _inverter(name, generator, files[0][1])
    renderer = Renderer(generator, found, _own(name, generator, files[0][1]))
    placed, unplaced = keeping.placed_all(kept, found)
    for sentence in (*sentences, *unplaced):
        print(f"note: {workdir / 'kept'}: {sentence}")
    origins = Origins(name, str(paths[0]), FLAGS.latent_space, workdir)
    return Explorer(renderer, origins, Shelf(workdir / "kept", placed), invert)


def _inverter(name, generator, components):
    """Returns the function that inverts uploaded pictures; None if the directions
    cannot move them.
    """
    try:
        edited_images.check_layer_latents(components, generator)
    except InputError:
        if FLAGS.images:
            raise
        return None
    encode = own_pictures.start(own_pictures.load_encoder(name, generator)[1])
    return inverting.inverter(generator, encode, FLAGS.label)


def _own(name, generator, components):
    """Returns the own pictures of --images and --latents by name."""
    inputs = [own_pictures.invert(name, generator, FLAGS.label)] if FLAGS.images else []
    if FLAGS.latents is not None:
        inputs.append(command_line.load_latents(generator, components))
    own = {}
    for start in itertools.chain.from_iterable(map(edited_images.starts_of_file, inputs)):
        unique = writing.unique(start.name, {one.lower() for one in own}, " ")
        own[unique] = start._replace(name=unique)
    return own


def _with_moves(name, generator, found):
    """Returns the directions with what each of them changes, except for random ones."""
    scorer = FLAGS.scorer or ("probe" if name in zoo.ZOO else "none")
    if scorer == "none":
        return found
    count = found.group(sources.RANDOM).sliders[0].row
    rows = sources.only(found.components, range(count))
    try:
        return directions.with_moves(found, scoring.moves(generator, rows, scorer, name))
    except InputError as error:
        if FLAGS.scorer is not None:
            raise
        print(f"note: what the directions change is not measured: {error}")
        return found


def _decomposed(workdir):
    """Returns the components file of the generator, which is made if it is missing."""
    name = FLAGS.generator or _GENERATOR
    folder = workdir / f"components_{writing.safe_stem(pathlib.Path(name).name)}"
    path = folder / "components.npz"
    generator = zoo.load(name)
    if path.exists():
        try:
            components_file.check_generator(foreign_files.load_components(path), name, zoo.fingerprint(generator))
            return str(path)
        except InputError:  # damaged, or of other weights
            pass
    samples = _NUM_SAMPLES if generator.default_layer == generator.latent_space else _NUM_SLOW_SAMPLES
    spec = Decomposition(num_samples=samples, num_components=min(_NUM_COMPONENTS, generator.latent_size))
    print(f"decomposing {name} first, once, with {samples:,} samples", flush=True)
    with command_line.stop_on_signals() as should_stop, command_line.progress_bar("samples") as report:
        run = shared_flags.run_from_flags(state=folder / "state", report=report, should_stop=should_stop)
        with output_files.outputs(folder, ["components.npz"]) as directory:
            components_file.save(directory / "components.npz", decomposition.decompose(generator, spec, run, name=name))
        resume.discard(run)
    return str(path)


if __name__ == "__main__":
    command_line.start(main)
