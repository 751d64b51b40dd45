"""The flags that several commands share, defined once, and the specs that they stand
for.

A command calls `define` and `define_spec` when it is imported, and the functions ending
in `from_flags` when it runs.
"""

import dataclasses
import inspect
import re
import typing
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from absl import flags

from ganspace_jax.errors import InputError
from ganspace_jax.generators.base import Generator
from ganspace_jax.generators.synthesis import Synthesis
from ganspace_jax.run import Progress, Run
from ganspace_jax.sampling import labels, latents

flags.disclaim_key_flags()  # the flags defined here belong to the command that asks for them

FLAGS = flags.FLAGS
MAX_NUMBER = 1e6  # for flags without a range of their own
Spec = TypeVar("Spec")


def define(*names: str, **defaults: Any) -> None:
    """Defines shared flags of these names. A keyword argument defines a flag with
    another default.
    """
    for name in (*names, *defaults):
        _SHARED[name](**({"default": defaults[name]} if name in defaults else {}))


def define_spec(spec_type: type, *, leave_out: Sequence[str] = (), **defaults: Any) -> None:
    """Defines one flag for each field of a dataclass. The help is the field's text in
    the docstring.

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


def _attribute_texts(spec_type: type) -> dict[str, str]:
    """Returns the text of each attribute in the docstrings of a class and its bases."""
    texts: dict[str, str] = {}
    for one in reversed(spec_type.__mro__[:-1]):
        _, _, listed = (inspect.getdoc(one) or "").partition("Attributes:\n")
        for name, text in re.findall(r"^ +(\w+): (.*(?:\n {4,}(?!\w+: ).*)*)", listed, re.MULTILINE):
            sentence = " ".join(text.split())
            texts[name] = sentence[0].upper() + sentence[1:]
    return texts


def spec_from_flags(spec_type: type[Spec], **fixed: Any) -> Spec:
    """Returns the dataclass of the flags that `define_spec` defined; keyword arguments
    are fields without a flag.
    """
    names = [field.name for field in dataclasses.fields(spec_type) if field.name in FLAGS]  # pyright: ignore
    return spec_type(**{**{name: FLAGS[name].value for name in names}, **fixed})


def run_from_flags(*, state: Any = None, report: Callable[[Progress], object], should_stop: Callable[[], bool]) -> Run:
    """Returns how a computation runs, from those of the flags that the command has."""
    names = {"batch_size": "batch_size", "memory_gb": "memory_budget_gb", "save_every": "checkpoint_every"}
    given: dict[str, Any] = {field: FLAGS[flag].value for field, flag in names.items() if flag in FLAGS}
    return Run(**given, state=state, report=report, should_stop=should_stop)


def synthesis_from_flags(generator: Generator) -> Synthesis:
    """Returns label, truncation and noise of the flags that the command has. The label
    "all" is left open.
    """
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
    """Returns the published seeds of --seeds.

    Raises:
        InputError: if --latents or --images is given as well.
    """
    given = [name for name in ("seeds", "latents", "images") if name in FLAGS and FLAGS[name].value]
    if len(given) > 1:
        raise InputError(f"--{given[0]}: cannot be given beside --{given[1]}; leave one of them out")
    return latents.parse_seeds(FLAGS.seeds or default)


def integers_from_flag(name: str, lowest: int, highest: int) -> tuple[int, ...]:
    """Returns the whole numbers of a list flag. Raises InputError for anything else."""
    texts: list[str] = FLAGS[name].value or []
    if not texts or not all(re.fullmatch(r"\s*\d{1,9}\s*", text) and lowest <= int(text) <= highest for text in texts):
        raise InputError(f"--{name}={','.join(texts)}: must be whole numbers from {lowest} to {highest:,}")
    return tuple(map(int, texts))


def _string(name: str, text: str, default: str | None = None) -> Callable[..., Any]:
    return lambda default=default: flags.DEFINE_string(name, default, text)


def _integer(
    name: str, text: str, lowest: int, default: int | None = None, highest: int = 2**31 - 1
) -> Callable[..., Any]:
    return lambda default=default: flags.DEFINE_integer(name, default, text, lower_bound=lowest, upper_bound=highest)


def _number(
    name: str, text: str, default: float, lowest: float = -MAX_NUMBER, highest: float = MAX_NUMBER
) -> Callable[..., Any]:
    return lambda default=default: flags.DEFINE_float(name, default, text, lower_bound=lowest, upper_bound=highest)


def _choice(name: str, text: str, values: Sequence[str], default: str | None) -> Callable[..., Any]:
    return lambda default=default: flags.DEFINE_enum(name, default, list(values), text)


def _list(name: str, text: str) -> Callable[..., Any]:
    return lambda default=None: flags.DEFINE_list(name, default, text)


def _bool(name: str, text: str) -> Callable[..., Any]:
    return lambda default=False: flags.DEFINE_bool(name, default, text)


_SHARED: dict[str, Callable[..., Any]] = {
    "generator": _string("generator", "Zoo name or checkpoint directory; by default that of the components."),
    "components": _string("components", "Components file, of experiments.decompose or of another program."),
    "latent_space": _choice("latent_space", "Space of directions or latents, if the file does not tell it.", ["w", "z"], None),
    "workdir": _string("workdir", "Directory of the results."),
    "seeds": _list("seeds", "Published seeds and ranges of them, such as 1,2,8-11."),
    "latents": _string("latents", "File of latents of pictures, in place of seeds or random samples."),
    "images": lambda default=None: flags.DEFINE_multi_string("images", default, "Pictures of your own: files or folders."),
    "encoder": _string("encoder", "Encoder's directory, or none; by default encoder/ in that of the generator."),
    "label": _string("label", "Class name or index; by default that of the components, else the first class."),
    "truncation_psi": _number("truncation_psi", "Truncation, after the edit; 1: none.", 1.0),
    "truncation_cutoff": _integer("truncation_cutoff", "Number of truncated layers; by default all.", 0),
    "noise_mode": _choice("noise_mode", "Noise of the images.", ["const", "none", "random"], "const"),
    "noise_seed": _integer("noise_seed", "Seed of random noise.", 0, 0),
    "mode": _choice("mode", "What is moved: latents or activations.", ["latent", "activation"], "latent"),
    "centred": _bool("centred", "First set the coordinate of each image to the mean."),
    "num_columns": _integer("num_columns", "Images in a row.", 1, 7, 1000),
    "sigma": _number("sigma", "Length of the steps, in standard deviations.", 2.0),
    "seed": _integer("seed", "Seed of the samples.", 0, 0),
    "num_samples": _integer("num_samples", "Number of random samples.", 2, 256, 1_000_000),
    "scorer": _string("scorer", "Reader of the images: probe, statistics, FILE.onnx or MODULE:FUNCTION.", "probe"),
    "probe": _string("probe", "Checkpoint directory of the probe; by default the shipped one."),
    "batch_size": _integer("batch_size", "Samples or images per step; by default as many as fit into memory.", 1),
    "compute_dtype": _choice("compute_dtype", "Number type of the convolutions.", ["float32", "bfloat16"], None),
    "memory_budget_gb": _number("memory_budget_gb", "Host memory for the arrays of an estimator, in GB.", 4.0, 0.0),
    "checkpoint_every": _number("checkpoint_every", "Seconds between two saves of an unfinished run.", 300.0, 0.0, 1e12),
}  # fmt: skip
