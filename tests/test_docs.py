"""The documentation is true: its examples run, and what it names exists."""

import ast
import os
import pathlib
import re
import subprocess
import sys
import tomllib

import pytest
from packaging.requirements import Requirement

import ganspace_jax as gs
from checkpoints_convert import formats

ROOT = pathlib.Path(__file__).parents[1]
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")),
    *sorted((ROOT / "docs").glob("*.md")),
]
COMMANDS = ("experiments", "checkpoints_convert", "benchmarks")
SPECS = (  # dataclasses of flags
    "sampling/layers.py",
    "sampling/inversion.py",
    "methods/decomposition.py",
    "methods/direction_spec.py",
    "measures/compared_methods.py",
    "measures/wanted_attributes.py",
    "methods/tangents.py",
    "methods/trajectories.py",
    "scenes/training/adversarial.py",
)
OF_EVERY_COMMAND = {"flagfile", "help", "helpfull", "compilation_cache"}


def _examples(page: pathlib.Path) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)


def _run(code: str, directory: pathlib.Path) -> subprocess.CompletedProcess:
    """Runs code as a user does: in a process of its own, in a directory outside the
    repository.
    """
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", code]
    return subprocess.run(command, cwd=directory, env=environment, capture_output=True, text=True)


def _sections(page: pathlib.Path) -> set[str]:
    """Returns the anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def _flags(source: pathlib.Path) -> set[str]:
    """Returns the flags that a command's file defines, shared ones and those of specs
    included.
    """
    flags, text = set(OF_EVERY_COMMAND), source.read_text()
    for call in ast.walk(ast.parse(text)):
        if not isinstance(call, ast.Call):
            continue
        name = ast.unparse(call.func)
        if name.startswith("flags.DEFINE_") or name == "shared_flags.define":
            flags |= {argument.value for argument in call.args[: None if name == "shared_flags.define" else 1]}
        if name == "flags.DEFINE":  # of a parser of its own
            flags.add(call.args[1].value)
        if name == "parser.add_argument":  # of a benchmark
            flags.add(call.args[0].value.removeprefix("--"))
        if name.startswith("shared_flags.define"):
            flags |= {keyword.arg for keyword in call.keywords if keyword.arg != "leave_out"}
        if name == "shared_flags.define_spec":
            left_out = {part for word in call.keywords if word.arg == "leave_out" for part in _texts(word.value)}
            flags |= _fields(ast.unparse(call.args[0])) - left_out
    return flags


def _texts(node: ast.AST) -> set[str]:
    return {one.value for one in ast.walk(node) if isinstance(one, ast.Constant)}


def _fields(spec: str) -> set[str]:
    """Returns the annotated fields of a dataclass, and of its base among the specs."""
    for path in SPECS:
        for node in ast.parse((ROOT / "ganspace_jax" / path).read_text()).body:
            if isinstance(node, ast.ClassDef) and node.name == spec:
                inherited = [_fields(ast.unparse(base)) for base in node.bases]
                return {one.target.id for one in node.body if isinstance(one, ast.AnnAssign)}.union(*inherited)
    return set()


def _commands(text: str) -> list[tuple[str, list[str]]]:
    """Returns (module, flags) of every `python -m MODULE ... --flag=...` of ours; a
    backslash continues a line.
    """
    joined, names = re.sub(r"\\\n\s*", " ", text), "|".join(COMMANDS)
    found = re.findall(rf"python -m ((?:{names})[\w.]*)([^\n`']*)", joined)
    return [(module.rstrip("."), re.findall(r"--(\w+)", rest.partition("#")[0])) for module, rest in found]


def _faults(module: str, flags: list[str]) -> list[str]:
    """Returns the names in a command that do not exist."""
    source = ROOT.joinpath(*module.split(".")).with_suffix(".py")
    source = source if source.is_file() else source.with_suffix("") / "__main__.py"
    return sorted(set(flags) - _flags(source)) if source.is_file() else [module]


def test_the_examples_of_the_library_page_run(tmp_path):
    examples = _examples(ROOT / "docs" / "library.md")
    result = _run("\n".join(examples), tmp_path)
    assert result.returncode == 0, result.stderr
    assert {path.name for path in tmp_path.iterdir()} >= {"images.png", "edited.png", "components.npz"}
    assert len(examples) > 10


def test_the_example_of_the_readme_runs(tmp_path):
    (example,) = _examples(ROOT / "README.md")
    assert len(example.splitlines()) <= 8
    assert "import ganspace_jax as gs" in example
    result = _run(example, tmp_path)
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "edited.png").is_file()


@pytest.mark.parametrize("name", gs.__all__)
def test_the_library_page_shows_every_name(name):
    used = "\n".join(_examples(ROOT / "docs" / "library.md"))
    assert re.search(rf"\bgs\.{name}\b", used)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_files_and_sections(page):
    targets = re.findall(r"\]\((?!https?:)([^)\s]+)\)", page.read_text())
    for target in targets:
        name, _, section = target.partition("#")
        path = page.parent / name if name else page
        assert path.exists(), target
        assert not section or section in _sections(path), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_and_their_flags_exist(page):
    text = page.read_text()
    assert not [(module, faults) for module, flags in _commands(text) if (faults := _faults(module, flags))]
    for path in re.findall(r"\bexperiments/[\w/.]+\.(?:flags|py)\b", text):
        assert (ROOT / path).is_file(), path


def test_wrong_commands_are_found():
    commands = _commands(
        "python -m experiments.edit --edit=x \\\n   --sed=1\n`python -m experiments.edits --generator=x`"
    )
    assert [_faults(*command) for command in commands] == [["sed"], ["experiments.edits"]]
    assert _faults("experiments.linearity", ["layers", "num_samples", "batch_size"]) == []
    assert _faults("experiments.linearity", ["estimator"]) == ["estimator"]


@pytest.mark.parametrize("path", sorted((ROOT / "experiments" / "flags").glob("*.flags")), ids=lambda path: path.stem)
def test_a_flagfile_names_its_command_its_time_and_its_prerequisite(path):
    comment, _, flags = path.read_text().partition("\n--")
    commands = _commands(comment)
    module = commands[-1][0]
    assert not _faults(module, re.findall(r"^--(\w+)", f"--{flags}", re.MULTILINE))
    assert comment.endswith(f"Command: python -m {module} --flagfile=experiments/flags/{path.name}")
    assert "\n# Time: " in comment
    needed = sum(f"{name}=runs/" in flags for name in ("components", "grow_from", "named"))
    assert len(commands) == 1 + needed
    assert comment.count("\n# Prerequisite: python -m ") == needed


def test_the_table_of_layouts_lists_every_format_and_its_options():
    rows = re.findall(
        r"^\| `(\w+)` \| [^|]+ \|([^|]*)\|$", (ROOT / "docs" / "checkpoints.md").read_text(), re.MULTILINE
    )
    listed = {name: tuple(re.findall(r"`(\w+)`", options)) for name, options in rows}
    assert listed == {one.name: one.options for one in formats.FORMATS}


def test_the_requirements_of_the_package_name_packages_only():
    """setuptools refuses lines of pip, such as -r, and with them the whole package."""
    dynamic = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["dynamic"]
    files = [
        name for one in (dynamic["dependencies"], *dynamic["optional-dependencies"].values()) for name in one["file"]
    ]
    assert len(files) >= 5
    for line in "".join((ROOT / name).read_text() for name in files).splitlines():
        assert Requirement(line.partition(" #")[0]).specifier, line
