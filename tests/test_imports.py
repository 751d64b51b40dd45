"""Who may import whom: the rooms' rules as a table, held against the imports in the source."""

import ast
import fnmatch
import pathlib
from collections.abc import Iterator
from typing import NamedTuple

import pytest

ROOT = pathlib.Path(__file__).parents[1]
OURS = ("ganspace_jax", "experiments", "checkpoints_convert")


class Rule(NamedTuple):
    """modules: pattern of the importing modules, except `but`. never: what they must not import.

    only: of our own rooms, the ones that they may import; None for any. A name stands for itself and all inside it.
    """

    modules: str
    but: tuple[str, ...] = ()
    only: tuple[str, ...] | None = None
    never: tuple[str, ...] = ()


SHAPES = "ganspace_jax.shapes"
GENERATORS = "ganspace_jax.generators"
BASE, OPS, ZOO = f"{GENERATORS}.base", f"{GENERATORS}.ops", f"{GENERATORS}.zoo"
PIECES = f"{GENERATORS}.pieces"  # how a batch is run
ALIAS_FREE = f"{GENERATORS}.alias_free"  # of StyleGAN3
CHECKPOINTS = "ganspace_jax.checkpoints"
INERT = "ganspace_jax.inert"

RULES = (
    Rule("ganspace_jax*", never=("experiments", "checkpoints_convert")),
    Rule(SHAPES, only=()),
    Rule(OPS, only=(SHAPES,)),
    Rule(BASE, only=(SHAPES, OPS, PIECES)),
    Rule(PIECES, only=()),
    Rule(ALIAS_FREE, only=(SHAPES, OPS)),
    Rule(f"{GENERATORS}.*", but=(BASE, OPS, ZOO), only=(SHAPES, OPS, BASE, ALIAS_FREE)),  # one paper, one file
    Rule(f"{INERT}*", only=(INERT, "ganspace_jax.failures")),
    Rule("ganspace_jax.moments", never=(GENERATORS,)),
    Rule("ganspace_jax.pca", never=(GENERATORS,)),
    Rule("ganspace_jax.sketches", never=(GENERATORS,)),
    Rule("ganspace_jax.randomized", never=(GENERATORS,)),
    Rule("ganspace_jax.regression", never=(GENERATORS,)),
    Rule("ganspace_jax.components", never=(GENERATORS,)),
    Rule("ganspace_jax.edits", never=(GENERATORS,)),
    Rule("experiments*", only=("ganspace_jax",)),
    Rule(
        "checkpoints_convert*",
        but=("checkpoints_convert.__main__",),  # which draws a preview
        only=("checkpoints_convert", GENERATORS, CHECKPOINTS, SHAPES, INERT, "ganspace_jax.failures"),
    ),
    Rule("*", but=("checkpoints_convert*",), never=("torch",)),
    Rule("*", but=("experiments.*", "checkpoints_convert.__main__"), never=("absl.flags", "absl.app")),
    Rule("*", but=(CHECKPOINTS,), never=("orbax",)),
)


def _sources() -> Iterator[tuple[str, str]]:
    """(dotted name, source) of every module of ours."""
    for room in OURS:
        for path in sorted((ROOT / room).rglob("*.py")):
            yield ".".join(path.relative_to(ROOT).with_suffix("").parts), path.read_text()


def _imported(module: str, source: str) -> Iterator[tuple[int, str]]:
    """(line, dotted name) of everything imported, at the top or inside functions; `from a import b` is a.b."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            origin = [*module.split(".")[: -node.level], node.module] if node.level else [node.module]
            yield from ((node.lineno, ".".join(filter(None, [*origin, alias.name]))) for alias in node.names)


def _inside(name: str, rooms: tuple[str, ...]) -> bool:
    return any(name == room or name.startswith(f"{room}.") for room in rooms)


def _holds(rule: Rule, module: str) -> bool:
    return fnmatch.fnmatch(module, rule.modules) and not any(fnmatch.fnmatch(module, name) for name in rule.but)


def _forbids(rule: Rule, name: str) -> bool:
    outside = rule.only is not None and _inside(name, OURS) and not _inside(name, rule.only)
    return outside or _inside(name, rule.never)


def _violations(module: str, source: str) -> list[str]:
    """One line for each import that a rule forbids."""
    return [
        f"{module}, line {line}: must not import {name}"
        for line, name in _imported(module, source)
        if any(_holds(rule, module) and _forbids(rule, name) for rule in RULES)
    ]


def test_every_import_keeps_the_rules():
    sources = dict(_sources())
    assert SHAPES in sources and BASE in sources
    violations = [line for module, source in sources.items() for line in _violations(module, source)]
    assert not violations, "\n".join(violations)


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("ganspace_jax.pca", "import experiments.decompose"),
        ("ganspace_jax.images", "def f():\n    from checkpoints_convert import stylegan2_pytorch"),
        (SHAPES, "from ganspace_jax import latents"),
        (OPS, "from ganspace_jax.generators.base import Noise"),
        (BASE, "from ganspace_jax.generators import zoo"),
        (f"{GENERATORS}.biggan", "from ganspace_jax.generators import base, biggan_deep"),
        (f"{GENERATORS}.stylegan2", "from . import stylegan"),
        (f"{GENERATORS}.progan", "from ganspace_jax import checkpoints"),
        ("ganspace_jax.moments", "from ganspace_jax.generators import base"),
        ("ganspace_jax.pca", "import ganspace_jax.generators.base as base"),
        ("ganspace_jax.regression", "from ganspace_jax import generators"),
        ("ganspace_jax.components", "from ganspace_jax.generators import zoo"),
        ("ganspace_jax.edits", "from .generators import base"),
        ("experiments.visualize", "from experiments import decompose"),
        ("checkpoints_convert.biggan_deep", "from ganspace_jax import decomposition"),
        ("ganspace_jax.checkpoints", "import torch.nn"),
        ("experiments.decompose", "from torch import load"),
        ("ganspace_jax.decomposition", "from absl import app, flags"),
        ("checkpoints_convert.stylegan2_pytorch", "from absl import flags"),
        (f"{GENERATORS}.zoo", "import orbax.checkpoint as ocp"),
    ],
)
def test_a_forbidden_import_is_caught(module, source):
    assert _violations(module, source)


@pytest.mark.parametrize(
    ("module", "source"),
    [
        (f"{GENERATORS}.biggan", "from ganspace_jax.generators import base, ops\nimport ganspace_jax.shapes"),
        (f"{GENERATORS}.zoo", "from ganspace_jax import checkpoints\nfrom ganspace_jax.generators import biggan"),
        ("experiments.decompose", "from absl import app, flags\nfrom ganspace_jax import decomposition"),
        ("checkpoints_convert.__main__", "import torch\nfrom absl import flags\nfrom checkpoints_convert import dcgan"),
        (CHECKPOINTS, "import orbax.checkpoint as ocp"),
        ("ganspace_jax.torchlike", "import torchlike"),
    ],
)
def test_an_allowed_import_passes(module, source):
    assert not _violations(module, source)
