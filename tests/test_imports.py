"""Which folder may import which: the floors of the house as one table, held against the
imports in the source.
"""

import ast
import fnmatch
import pathlib
from collections.abc import Iterator

import pytest

ROOT = pathlib.Path(__file__).parents[1]
PACKAGE = "ganspace_jax"
OURS = (PACKAGE, "experiments", "checkpoints_convert")

# From the lowest floor up. A module imports from its own place and from lower floors
# only.
FLOORS = (
    ("shapes", "errors", "run"),
    ("files.inert",),
    ("files",),
    ("statistics",),
    ("generators",),
    ("sampling",),
    ("directions",),
    ("methods.estimators",),
    ("methods",),
    ("measures",),
    ("scenes",),
    ("scenes.training",),
    ("claims",),
    ("compilation_cache", "shared_flags", "named_scorers", "value_edits", "command_line", "own_pictures"),
)
FLOOR_OF = {place: number for number, places in enumerate(FLOORS) for place in places}

PAPERS = "ganspace_jax.generators.*"
NOT_PAPERS = tuple(
    f"ganspace_jax.generators.{name}"
    for name in ("base", "chunks", "synthesis", "zoo", "catalogue", "ops", "shared_layers", "stylegan3_filters")
)
OPS = ("ganspace_jax.shapes", "ganspace_jax.generators.ops")
# Rules within a folder: (importing modules, except these, the only modules of ours that
# they may import).
ONLY = (
    ("ganspace_jax.shapes", (), ()),
    ("ganspace_jax.generators.ops", (), ("ganspace_jax.shapes",)),
    ("ganspace_jax.generators.base", (), ("ganspace_jax.shapes",)),
    ("ganspace_jax.generators.shared_layers", (), (*OPS, "ganspace_jax.generators.base")),
    ("ganspace_jax.generators.stylegan3_filters", (), OPS),
    (
        PAPERS,
        NOT_PAPERS,
        (
            *OPS,
            "ganspace_jax.errors",
            "ganspace_jax.generators.base",
            "ganspace_jax.generators.shared_layers",
            "ganspace_jax.generators.stylegan3_filters",
        ),
    ),
    ("experiments.*", (), (PACKAGE, "experiments.explorer")),
    (
        "checkpoints_convert*",
        ("checkpoints_convert.__main__",),  # which draws a preview
        (
            "checkpoints_convert",
            "ganspace_jax.shapes",
            "ganspace_jax.errors",
            "ganspace_jax.files",
            "ganspace_jax.generators",
        ),
    ),
)
# Modules that only some places may import: (module, places).
RESERVED = (
    ("experiments", ("experiments",)),
    ("experiments.explorer", ("experiments.explore", "experiments.explorer")),
    ("starlette", ("experiments.explorer.server",)),
    ("uvicorn", ("experiments.explorer.server",)),
    ("anywidget", ("experiments.explorer.notebook",)),
    ("checkpoints_convert", ("checkpoints_convert",)),
    ("torch", ("checkpoints_convert",)),
    ("orbax", ("ganspace_jax.files",)),
    ("matplotlib", ("ganspace_jax.files.charts",)),
    ("jinja2", ("ganspace_jax.files.reports",)),
    ("onnxruntime", ("ganspace_jax.measures.onnx_scorer",)),
    ("tqdm", ("ganspace_jax.command_line", "checkpoints_convert", "experiments")),
    (
        "absl",
        (
            "ganspace_jax.command_line",
            "ganspace_jax.shared_flags",
            "ganspace_jax.own_pictures",
            "checkpoints_convert.__main__",
            "experiments",
        ),
    ),
    ("ganspace_jax.generators", ("ganspace_jax.directions.edited_images", *OURS[1:])),
    ("ganspace_jax.sampling", ("ganspace_jax.directions.edited_images", *OURS[1:])),
)
ONLY_IN_DIRECTIONS = ("ganspace_jax.generators", "ganspace_jax.sampling")
LAYER_SPEC = "ganspace_jax.sampling.layers.LayerSpec"
# Methods, and measures, do not import one another; these they share. finding puts
# methods together, wanted_attributes and compared_methods measures.
INDEPENDENT = {
    "ganspace_jax.methods": tuple(
        f"ganspace_jax.methods.{name}" for name in ("estimators", "image_transforms", "direction_spec", "finding")
    ),
    "ganspace_jax.measures": tuple(
        f"ganspace_jax.measures.{name}"
        for name in ("answers", "scorers", "purity", "wanted_attributes", "comparison", "compared_methods")
    ),
}


def _sources() -> Iterator[tuple[str, str]]:
    """Yields (dotted name, source) of every module of ours."""
    for folder in OURS:
        for path in sorted((ROOT / folder).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), path.read_text()


def _imported(module: str, source: str) -> Iterator[tuple[int, str]]:
    """Yields (line, dotted name) of everything imported, at the top or inside
    functions; `from a import b` is a.b.
    """
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            origin = [*module.split(".")[: -node.level], node.module] if node.level else [node.module]
            yield from ((node.lineno, ".".join(filter(None, [*origin, alias.name]))) for alias in node.names)


def _inside(name: str, places: tuple[str, ...]) -> bool:
    return any(name == place or name.startswith(f"{place}.") for place in places)


def _floor(name: str) -> int | None:
    """Returns the floor of a module of the package; None for the package itself and for
    other packages.
    """
    if not name.startswith(f"{PACKAGE}."):
        return None
    rest = name.removeprefix(f"{PACKAGE}.")
    known = [place for place in FLOOR_OF if _inside(rest, (place,))]
    return FLOOR_OF[max(known, key=len)] if known else None


def _is_forbidden(module: str, name: str) -> bool:
    own, other = _floor(module), _floor(name)
    climbs = own is not None and other is not None and other > own
    leaves_package = module != PACKAGE and module.startswith(PACKAGE) and name == PACKAGE
    outside = any(
        fnmatch.fnmatch(module, pattern) and module not in but and _inside(name, OURS) and not _inside(name, only)
        for pattern, but, only in ONLY
    )
    reserved = any(
        _inside(name, (owned,)) and not _inside(module, places)
        for owned, places in RESERVED
        if owned not in ONLY_IN_DIRECTIONS or _inside(module, ("ganspace_jax.directions",))
    )
    entangled = any(
        _inside(module, (folder,))
        and _inside(name, (folder,))
        and not _inside(name, shared)
        and not _inside(module, shared)
        for folder, shared in INDEPENDENT.items()
        if module != folder
    )
    return climbs or leaves_package or outside or (reserved and name != LAYER_SPEC) or entangled


def _violations(module: str, source: str) -> list[str]:
    """Returns one line for each import that a rule forbids."""
    if module == PACKAGE:  # the public face imports lazily from every floor
        return []
    return [
        f"{module}, line {line}: must not import {name}"
        for line, name in _imported(module, source)
        if _is_forbidden(module, name)
    ]


def test_every_import_keeps_the_rules():
    sources = dict(_sources())
    violations = [line for module, source in sources.items() for line in _violations(module, source)]
    assert not violations, "\n".join(violations)


def test_every_module_has_a_floor():
    modules = [name for name, _ in _sources() if name.startswith(f"{PACKAGE}.")]
    assert len(modules) > 50
    assert not [name for name in modules if _floor(name) is None]


def test_files_are_short():
    """A file is one room. A paper's network may need a few lines more."""
    for path in (ROOT / PACKAGE).rglob("*.py"):
        limit = 330 if path.parent.name == "generators" else 300
        assert len(path.read_text().splitlines()) <= limit, path


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("ganspace_jax.statistics.pca", "import experiments.decompose"),
        ("ganspace_jax.statistics.pca", "from ganspace_jax.generators import base"),
        ("ganspace_jax.statistics.moments", "from ganspace_jax.sampling.sweep_parts import Samples"),
        ("ganspace_jax.files.pictures", "def f():\n    from checkpoints_convert import stylegan2_pytorch"),
        ("ganspace_jax.files.charts", "from ganspace_jax.measures.effects import Effects"),
        ("ganspace_jax.files.inert.unpickler", "from ganspace_jax.files import checkpoints"),
        ("ganspace_jax.shapes", "from ganspace_jax import errors"),
        ("ganspace_jax.generators.ops", "from ganspace_jax.generators.base import Noise"),
        ("ganspace_jax.generators.base", "from ganspace_jax.generators import zoo"),
        ("ganspace_jax.generators.biggan", "from ganspace_jax.generators import base, biggan_deep"),
        ("ganspace_jax.generators.stylegan2", "from . import stylegan"),
        ("ganspace_jax.generators.progan", "from ganspace_jax.files import checkpoints"),
        ("ganspace_jax.sampling.sweeps", "from ganspace_jax.methods import decomposition"),
        ("ganspace_jax.directions.edits", "from ganspace_jax.generators import base"),
        ("ganspace_jax.directions.components", "from ganspace_jax.sampling import layers"),
        ("ganspace_jax.methods.boundaries", "from ganspace_jax.methods import decomposition"),
        ("ganspace_jax.measures.effects", "from ganspace_jax.scenes import probe"),
        ("ganspace_jax.measures.effects", "from ganspace_jax.measures import class_transfer"),
        ("ganspace_jax.measures.scorers", "import onnxruntime"),
        ("ganspace_jax.scenes.probe", "import ganspace_jax as gs"),
        ("experiments.visualize", "from experiments import decompose"),
        ("checkpoints_convert.biggan_deep", "from ganspace_jax.methods import decomposition"),
        ("ganspace_jax.files.checkpoints", "import torch.nn"),
        ("experiments.decompose", "from torch import load"),
        ("ganspace_jax.methods.decomposition", "from absl import app, flags"),
        ("ganspace_jax.scenes.training.loop", "from tqdm import tqdm"),
        ("checkpoints_convert.stylegan2_pytorch", "from absl import flags"),
        ("ganspace_jax.generators.zoo", "import orbax.checkpoint as ocp"),
    ],
)
def test_a_forbidden_import_is_caught(module, source):
    assert _violations(module, source)


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("ganspace_jax.generators.biggan", "from ganspace_jax.generators import base, ops\nimport ganspace_jax.shapes"),
        ("ganspace_jax.generators.zoo", "from ganspace_jax.files import checkpoints"),
        ("ganspace_jax.directions.components", f"from {LAYER_SPEC.rpartition('.')[0]} import LayerSpec"),
        ("ganspace_jax.directions.edited_images", "from ganspace_jax.sampling import latents"),
        ("ganspace_jax.methods.decomposition", "from ganspace_jax.methods.estimators import choice"),
        ("ganspace_jax.scenes.probe", "from ganspace_jax.measures.scorers import Scorer"),
        ("experiments.decompose", "from absl import app, flags\nfrom ganspace_jax.methods import decomposition"),
        ("checkpoints_convert.__main__", "import torch\nfrom absl import flags\nfrom checkpoints_convert import dcgan"),
        ("ganspace_jax.files.run_states", "import orbax.checkpoint as ocp"),
        ("ganspace_jax.files.torchlike", "import torchlike"),
    ],
)
def test_an_allowed_import_passes(module, source):
    assert not _violations(module, source)
