"""What every command does: flags, one-line errors, signals, a progress bar, and run.flags.

A command defines its flags with `define` and `define_spec`, and ends with

    if __name__ == "__main__":
        command_line.start(main, needs=("workdir",))
"""

import contextlib
import dataclasses
import inspect
import re
import signal
import sys
import typing
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

from absl import app, flags, logging
from tqdm import tqdm

from ganspace_jax import compilation_cache
from ganspace_jax.directions import components as components_file
from ganspace_jax.directions import foreign_files
from ganspace_jax.directions.components import Components
from ganspace_jax.errors import InputError
from ganspace_jax.files import outputs as output_files
from ganspace_jax.generators import zoo
from ganspace_jax.generators.base import Generator
from ganspace_jax.generators.synthesis import Synthesis
from ganspace_jax.run import Interrupted, Progress, Run
from ganspace_jax.sampling import labels, latents

flags.disclaim_key_flags()  # the flags defined here belong to the command that asks for them

FLAGS = flags.FLAGS
MAX_NUMBER = 1e6  # for flags without a range of their own
Spec = TypeVar("Spec")


def define(*names: str, **defaults: Any) -> None:
    """Defines shared flags of these names. A keyword argument defines a flag with another default."""
    for name in (*names, *defaults):
        _SHARED[name](**({"default": defaults[name]} if name in defaults else {}))


def _string(name: str, text: str, default: str | None = None) -> Callable[..., Any]:
    return lambda default=default: flags.DEFINE_string(name, default, text)


def _integer(name: str, text: str, lowest: int, default: int | None = None) -> Callable[..., Any]:
    return lambda default=default: flags.DEFINE_integer(name, default, text, lower_bound=lowest, upper_bound=2**31 - 1)


def _number(name: str, text: str, default: float, lowest: float = -MAX_NUMBER) -> Callable[..., Any]:
    return lambda default=default: flags.DEFINE_float(name, default, text, lower_bound=lowest, upper_bound=MAX_NUMBER)


def _choice(name: str, text: str, values: Sequence[str], default: str | None) -> Callable[..., Any]:
    return lambda default=default: flags.DEFINE_enum(name, default, list(values), text)


def _list(name: str, text: str) -> Callable[..., Any]:
    return lambda default=None: flags.DEFINE_list(name, default, text)


def _bool(name: str, text: str) -> Callable[..., Any]:
    return lambda default=False: flags.DEFINE_bool(name, default, text)


_SHARED: dict[str, Callable[..., Any]] = {
    "generator": _string("generator", "Zoo name or checkpoint directory; by default that of the components."),
    "components": _string("components", "Components file, of experiments.decompose or of another program."),
    "latent_space": _choice("latent_space", "Space of the directions, if their file does not tell it.", ["w", "z"], None),
    "workdir": _string("workdir", "Directory of the results."),
    "seeds": _list("seeds", "Published seeds and ranges of them, such as 1,2,8-11."),
    "label": _string("label", "Class name or index; by default that of the components, else the first class."),
    "truncation_psi": _number("truncation_psi", "Truncation, after the edit; 1: none.", 1.0),
    "truncation_cutoff": _integer("truncation_cutoff", "Number of truncated layers; by default all.", 0),
    "noise_mode": _choice("noise_mode", "Noise of the images.", ["const", "none", "random"], "const"),
    "noise_seed": _integer("noise_seed", "Seed of random noise.", 0, 0),
    "mode": _choice("mode", "What is moved: latents or activations.", ["latent", "activation"], "latent"),
    "centred": _bool("centred", "First set the coordinate of each image to the mean."),
    "num_columns": _integer("num_columns", "Images in a row.", 2, 7),
    "sigma": _number("sigma", "Length of the steps, in standard deviations.", 2.0),
    "seed": _integer("seed", "Seed of the samples.", 0, 0),
    "num_samples": _integer("num_samples", "Number of random samples.", 2, 256),
    "probe": _string("probe", "Checkpoint directory of the probe; by default the shipped one."),
    "batch_size": _integer("batch_size", "Samples or images per step; by default as many as fit into memory.", 1),
    "compute_dtype": _choice("compute_dtype", "Number type of the convolutions.", ["float32", "bfloat16"], None),
    "memory_budget_gb": _number("memory_budget_gb", "Host memory for the arrays of an estimator, in GB.", 4.0, 0.0),
    "checkpoint_every": _number("checkpoint_every", "Seconds between two saves of an unfinished run.", 300.0, 0.0),
}  # fmt: skip


def define_spec(spec_type: type, *, leave_out: Sequence[str] = (), **defaults: Any) -> None:
    """Defines one flag for each field of a dataclass. The help is the field's text in the docstring.

    Args:
        spec_type: dataclass with an Attributes list in its docstring.
        leave_out: names of fields that get no flag.
        **defaults: defaults that differ from the dataclass's.
    """
    texts, types = _attribute_texts(spec_type), typing.get_type_hints(spec_type)
    for field in dataclasses.fields(spec_type):
        if field.name in leave_out:
            continue
        default = defaults.get(field.name, field.default)
        kinds = set(typing.get_args(types[field.name])) or {types[field.name]}
        if all(isinstance(kind, str) for kind in kinds):  # the values of a Literal
            flags.DEFINE_enum(field.name, default, sorted(kinds), texts[field.name])
            continue
        definers = [
            ({bool}, flags.DEFINE_bool),
            ({int, type(None)}, flags.DEFINE_integer),
            ({float, int, type(None)}, flags.DEFINE_float),
        ]
        definer = next((one for known, one in definers if kinds <= known), flags.DEFINE_string)
        definer(field.name, default, texts[field.name])


def spec_from_flags(spec_type: type[Spec], **fixed: Any) -> Spec:
    """Returns the dataclass of the flags that `define_spec` defined; keyword arguments are fields without a flag."""
    names = [field.name for field in dataclasses.fields(spec_type) if field.name in FLAGS]  # pyright: ignore
    return spec_type(**{**{name: FLAGS[name].value for name in names}, **fixed})


def _attribute_texts(spec_type: type) -> dict[str, str]:
    """Returns the text of each attribute in the docstrings of a class and its bases."""
    texts: dict[str, str] = {}
    for one in reversed(spec_type.__mro__[:-1]):
        _, _, listed = (inspect.getdoc(one) or "").partition("Attributes:\n")
        for name, text in re.findall(r"^ +(\w+): (.*(?:\n {4,}(?!\w+: ).*)*)", listed, re.MULTILINE):
            sentence = " ".join(text.split())
            texts[name] = sentence[0].upper() + sentence[1:]
    return texts


def run_from_flags(*, state: Any = None, report: Callable[[Progress], object], should_stop: Callable[[], bool]) -> Run:
    """Returns how a computation runs, from those of the flags that the command has."""
    names = {"batch_size": "batch_size", "memory_gb": "memory_budget_gb", "save_every": "checkpoint_every"}
    given: dict[str, Any] = {field: FLAGS[flag].value for field, flag in names.items() if flag in FLAGS}
    return Run(**given, state=state, report=report, should_stop=should_stop)


def load_components() -> Components:
    """Returns the components of --components. What their file does not tell is printed."""
    loaded = foreign_files.load_components(FLAGS.components, FLAGS.latent_space)
    for sentence in loaded.source.assumptions:
        print(f"{FLAGS.components}: {sentence}")
    return loaded


def load_generator(components: Components | None = None) -> tuple[str, Generator]:
    """Returns name and generator of --generator, or of the components if the flag is left out.

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


def synthesis_from_flags(generator: Generator) -> Synthesis:
    """Returns label, truncation and noise of the flags that the command has. The label "all" is left open."""
    fields: dict[str, Any] = {
        name: FLAGS[name].value for name in ("truncation_psi", "truncation_cutoff") if name in FLAGS
    }
    if "noise_mode" in FLAGS:
        fields["noise"] = FLAGS.noise_seed if FLAGS.noise_mode == "random" else FLAGS.noise_mode
    if "label" in FLAGS and FLAGS.label is not None:
        label = labels.resolve(FLAGS.label, generator)
        fields["label"] = None if label == "all" else label
    return Synthesis(**fields)


def seeds_from_flags(default: Sequence[str] = ()) -> list[int]:
    """Returns the published seeds of --seeds."""
    return latents.parse_seeds(FLAGS.seeds or default)


def integers_from_flag(name: str, lowest: int, highest: int) -> tuple[int, ...]:
    """Returns the whole numbers of a list flag. Raises InputError for anything else."""
    texts: list[str] = FLAGS[name].value or []
    if not texts or not all(re.fullmatch(r"\s*\d{1,9}\s*", text) and lowest <= int(text) <= highest for text in texts):
        raise InputError(f"--{name}={','.join(texts)}: must be whole numbers from {lowest} to {highest:,}")
    return tuple(map(int, texts))


@contextlib.contextmanager
def outputs(flagfile_name: str = "run.flags") -> Iterator[Any]:
    """Yields a directory whose files move into --workdir when the block succeeds, with a flagfile that repeats the run."""
    with output_files.outputs(FLAGS.workdir) as directory:
        yield directory
        (directory / flagfile_name).write_text(flagfile())


def flagfile() -> str:
    """Returns the flags of this run as a flagfile that repeats it, one per line."""
    lines: list[str] = []
    for flag in FLAGS.get_key_flags_for_module(sys.argv[0]):
        values = flag.value if isinstance(flag, flags.MultiFlag) else [flag.value]
        for value in values or []:
            if value is not None:
                lines.append(f"--{flag.name}={','.join(map(str, value)) if isinstance(value, list) else value}")
    return "\n".join(lines) + "\n"


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


@contextlib.contextmanager
def stop_on_sigterm() -> Iterator[Callable[[], bool]]:
    """Yields a function that tells whether SIGTERM has come. Schedulers send it before they take a machine away."""
    received: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: received.append(number))
    try:
        yield lambda: bool(received)
    finally:
        signal.signal(signal.SIGTERM, before)


def start(main: Callable[[], None], *, needs: Sequence[str] = ()) -> None:
    """Parses the flags and runs a command.

    An InputError or a file error is printed as one line, and the exit status is 1. After
    Interrupted the status is 143, which shells give to a process that SIGTERM ended.

    Args:
        main: the command.
        needs: names of flags that must be given.
    """
    logging.set_verbosity(logging.WARNING)  # Orbax reports every file at INFO
    flags.DEFINE_string(
        "compilation_cache", None, "Directory of compiled programs; by default in the user's cache; off: none.",
        module_name=sys.argv[0],
    )  # fmt: skip

    def run(_: Any) -> None:
        compilation_cache.use(FLAGS.compilation_cache)
        main()

    app.run(lambda argv: _one_line_errors(run, argv), flags_parser=lambda argv: _parse(argv, needs))


def _parse(argv: list[str], needs: Sequence[str]) -> list[str]:
    """Parses the flags; reports a wrong flag, a stray argument or all missing flags in one line."""
    try:
        rest = FLAGS(argv)[1:]
    except flags.Error as error:
        sys.exit(f"error: {str(error).replace('flag --', '--', 1)}{example()}")
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


def _one_line_errors(run: Callable[[Any], None], argv: Any) -> None:
    try:
        run(argv)
    except InputError as error:
        sys.exit(f"error: {error}")
    except Interrupted as error:
        print(error, file=sys.stderr)
        sys.exit(128 + signal.SIGTERM)
    except OSError as error:
        sys.exit(f"error: {error.filename or 'file'}: {error.strerror or error}")
