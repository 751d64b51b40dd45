"""What every command does: one-line errors, signals, a progress bar, and run.flags.

A command defines its flags with shared_flags, and ends with

    if __name__ == "__main__":
        command_line.start(main, needs=("workdir",))
"""

import contextlib
import os
import pathlib
import re
import signal
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import Any

from absl import app, flags, logging
from tqdm import tqdm

from ganspace_jax import compilation_cache
from ganspace_jax.directions import components as components_file
from ganspace_jax.directions import foreign_files
from ganspace_jax.directions.components import Components
from ganspace_jax.directions.direction_arrays import Latents
from ganspace_jax.errors import InputError, printable
from ganspace_jax.files import outputs as output_files
from ganspace_jax.generators import zoo
from ganspace_jax.generators.base import Generator
from ganspace_jax.run import Interrupted, Progress
from ganspace_jax.sampling import latent_files
from ganspace_jax.sampling.latent_files import Inputs

flags.disclaim_key_flags()  # the flag defined here belongs to the command that runs

FLAGS = flags.FLAGS
_CACHE = "compilation_cache"
_FLAGFILES = pathlib.Path("experiments") / "flags"  # in a checkout, which is the working directory


def load_components(path: str | None = None) -> Components:
    """Returns the components of a file, by default of --components. What their file
    does not tell is printed.
    """
    path = str(FLAGS.components if path is None else path)
    _check_made(pathlib.Path(path))
    loaded = foreign_files.load_components(path, _space_of_directions(path), _latents())
    for sentence in loaded.source.assumptions:
        print(f"{path}: {sentence}")
    return loaded


def _latents() -> Latents | None:
    """Returns the latents of --generator, which tell how a file's rows are meant; None
    without the flag.
    """
    if not FLAGS.generator:
        return None
    generator = zoo.load_abstract(FLAGS.generator)
    sizes = {"z": generator.z_dim, **({"w": generator.latent_size} if generator.has_mapping else {})}
    return Latents(generator.latent_space, generator.latent_shape[0] if generator.has_mapping else 1, sizes)


def _space_of_directions(path: str) -> str | None:
    """Returns --latent_space; beside --latents only if the components' file does not
    tell it, because the flag may be there for the latents.
    """
    if FLAGS.latent_space is not None and "latents" in FLAGS and FLAGS.latents is not None:
        is_told = not foreign_files.load_components(path, None, _latents()).source.assumes_space
        return None if is_told else FLAGS.latent_space
    return FLAGS.latent_space


def load_latents(generator: Generator, components: Components | None = None) -> Inputs:
    """Returns the latents of --latents. What their file does not tell is printed.

    Args:
        generator: generator of the pictures.
        components: components whose class is that of the pictures, if neither the file
            nor --label tells it.
    """
    label = FLAGS["label"].value if "label" in FLAGS else None
    if label is None and components is not None and isinstance(components.spec.label, int):
        label = components.spec.label
    inputs = latent_files.from_file(generator, FLAGS.latents, label, FLAGS.latent_space)
    for sentence in inputs.notes:
        print(f"note: {FLAGS.latents}: {sentence}")
    return inputs


def _check_made(path: pathlib.Path) -> None:
    """Raises InputError for a missing components file that a flagfile would make, and
    names the flagfile.
    """
    if path.exists():
        return
    for flagfile_path in sorted(_FLAGFILES.glob("*.flags")):
        if f"--workdir={path.parent}" in flagfile_path.read_text(errors="replace").splitlines():
            raise InputError(
                f"--components={path}: no such file; make it first: python -m experiments.decompose "
                f"--flagfile={flagfile_path}"
            )


def load_generator(components: Components | None = None) -> tuple[str, Generator]:
    """Returns name and generator of --generator, or of the components if the flag is
    left out.

    Raises:
        InputError: if there is no such generator, or if the components were made with
            another one.
    """
    name: str = FLAGS.generator or ""
    if not name and components is not None:
        name = components.source.generator
        try:
            zoo.resolve(name)
        except InputError:
            raise InputError(
                f"--generator: needed, because {FLAGS.components} was made for {name!r}, which is neither in the zoo "
                f"nor a directory"
            ) from None
    generator = zoo.load(name, compute_dtype=FLAGS["compute_dtype"].value if "compute_dtype" in FLAGS else None)
    if components is not None:
        components_file.check_generator(components, name, zoo.fingerprint(generator))
    return name, generator


@contextlib.contextmanager
def outputs(flagfile_name: str = "run.flags") -> Iterator[Any]:
    """Yields a directory whose files move into --workdir when the block succeeds, with
    a flagfile that repeats the run.
    """
    with output_files.outputs(FLAGS.workdir, [flagfile_name]) as directory:
        yield directory
        (directory / flagfile_name).write_text(flagfile())


def flagfile(given: Iterable[Any] | None = None) -> str:
    """Returns a flagfile that repeats a run, one flag per line.

    Args:
        given: flag objects of absl; None: the flags of this run's command.
    """
    lines: list[str] = []
    for flag in FLAGS.get_key_flags_for_module(sys.argv[0]) if given is None else given:
        values = flag.value if isinstance(flag, flags.MultiFlag) else [flag.value]
        for value in values or []:
            if value is not None:
                lines.append(f"--{flag.name}={','.join(map(str, value)) if isinstance(value, list) else value}")
    return "\n".join(lines) + "\n"


def settings(leave_out: Collection[str]) -> dict[str, Any]:
    """Returns the values of this command's flags by name, for a record of a run."""
    return {
        flag.name: flag.value
        for flag in FLAGS.get_key_flags_for_module(sys.argv[0])
        if flag.name not in (*leave_out, _CACHE)
    }


@contextlib.contextmanager
def progress_bar(description: str, *, shown: bool = True) -> Iterator[Callable[[Progress], None]]:
    """Yields a function that shows a Progress. The bar appears with the first one."""
    bar: tqdm | None = None

    def report(progress: Progress) -> None:
        nonlocal bar
        if bar is None:
            bar = tqdm(total=progress.total, unit=progress.unit, unit_scale=True, desc=description, disable=not shown)
        bar.total = progress.total
        bar.set_postfix_str(progress.note, refresh=False)
        bar.update(progress.done - bar.n)
        if progress.done == progress.total:
            bar.refresh()

    try:
        yield report
    finally:
        if bar is not None:
            bar.close()


class Stopped(BaseException):
    """A signal has ended the command; the message tells what is kept.

    As a BaseException it passes through code that handles every Exception.
    """

    def __init__(self, number: int, message: str = "stopped; this run wrote no results"):
        super().__init__(message)
        self.status = 128 + number  # the exit status that shells give to a process that a signal ended


@contextlib.contextmanager
def stop_on_signals() -> Iterator[Callable[[], bool]]:
    """Yields a function that tells whether SIGTERM or SIGINT (Ctrl-C) has come.

    Schedulers send SIGTERM before they take a machine away. A second signal ends the
    command at once.
    """
    received: list[int] = []

    def note(number: int, _: object) -> None:
        received.append(number)
        if len(received) > 1:
            raise Stopped(number, "stopped at once; states that were saved before are intact")

    try:
        with _handled_signals(note):
            yield lambda: bool(received)
    except Interrupted as error:
        raise Stopped(received[0] if received else signal.SIGTERM, str(error)) from None


@contextlib.contextmanager
def _handled_signals(handler: Callable[[int, Any], None]) -> Iterator[None]:
    """Calls the handler for SIGTERM and SIGINT while the block runs."""
    before = {number: signal.signal(number, handler) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler_before in before.items():
            signal.signal(number, handler_before)


def _raise_stopped(number: int, _: object) -> None:
    raise Stopped(number)


def start(main: Callable[[], None], *, needs: Sequence[str] = ()) -> None:
    """Parses the flags and runs a command.

    An InputError or a file error is printed as one line, and the exit status is 1.
    After SIGTERM the status is 143, after SIGINT (Ctrl-C) it is 130.

    Args:
        main: the command.
        needs: names of flags that must be given.
    """
    logging.set_verbosity(logging.WARNING)  # Orbax reports every file at INFO
    flags.DEFINE_string(
        _CACHE, None, "Directory of compiled programs; by default in the user's cache; off: none.",
        module_name=sys.argv[0],
    )  # fmt: skip

    def run() -> None:
        compilation_cache.use(FLAGS.compilation_cache)
        main()

    app.run(lambda argv: exit_with_one_line(run), flags_parser=lambda argv: _parse(argv, needs))


def _parse(argv: list[str], needs: Sequence[str]) -> list[str]:
    """Parses the flags; reports a wrong flag, a stray argument or all missing flags in
    one line.
    """
    try:
        rest = FLAGS(argv)[1:]
    except flags.Error as error:
        text = str(error).removeprefix("ERROR:: ").replace("flag --", "--", 1)
        sys.exit(printable(f"error: {text}{example()}"))
    except UnicodeDecodeError as error:
        files = ", ".join(text for text in argv if "flagfile" in text)
        sys.exit(printable(f"error: {files}: is not UTF-8 text: {error.reason} at byte {error.start}"))
    if rest:
        sys.exit(f"error: {rest[0]}: is no flag; flags begin with --{example()}")
    missing = [f"--{name}" for name in needs if FLAGS[name].value in (None, [])]
    if missing:
        sys.exit(f"error: {' and '.join(missing)}: needed{example()}")
    return argv[:1]


def example() -> str:
    """Returns the first command in the docstring of the running module."""
    text = (sys.modules["__main__"].__doc__ or "").replace("\\\n", " ")
    found = re.search(r"^ {4}(python -m .*)$", text, re.MULTILINE)
    return f"; for example: {' '.join(found[1].split())}" if found else ""


def exit_with_one_line(run: Callable[[], None]) -> None:
    """Calls a function. Its errors and signals end the process with one printable
    line.
    """
    try:
        with _handled_signals(_raise_stopped):
            run()
    except InputError as error:
        sys.exit(f"error: {error}")
    except Stopped as error:
        print(printable(str(error)), file=sys.stderr)
        sys.exit(error.status)
    except BrokenPipeError:  # the reader of the output, such as head, has ended
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:
        sys.exit(printable(f"error: {error.filename or 'file'}: {error.strerror or error}"))
