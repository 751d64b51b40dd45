"""Runs a command by its name: `ganspace-jax decompose ...` is `python -m
experiments.decompose ...`.

ganspace-jax decompose --generator=stylegan2-scenes --workdir=runs/stylegan2_scenes_w
ganspace-jax convert --source=weights.pth --output=runs/faces
"""

import pathlib
import runpy
import sys

from ganspace_jax import errors

_CONVERTER = "convert"


def main() -> None:
    """Runs the command that the first argument names."""
    if len(sys.argv) < 2 or sys.argv[1] in ("-h", "--help", "help"):
        sys.exit(f"ganspace-jax COMMAND --help; the commands are: {', '.join(_commands())}")
    name = sys.argv.pop(1)
    if name not in _commands():
        hint = errors.nearest(name, _commands())
        sys.exit(f"error: {name}: no such command; {hint}the commands are: {', '.join(_commands())}")
    module = "checkpoints_convert" if name == _CONVERTER else f"experiments.{name}"
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def _commands() -> list[str]:
    """Returns the names of all commands."""
    files = pathlib.Path(__file__).parent.glob("*.py")
    return [*sorted(path.stem for path in files if not path.stem.startswith("_")), _CONVERTER]


if __name__ == "__main__":
    main()
