"""Runs a command in the test's own process, as a user's shell would.

This saves the seconds in which a new process imports JAX and compiles again. Tests of
signals, of killed runs and of several processes start real processes instead.
"""

import contextlib
import io
import logging
import runpy
import sys
import traceback
from typing import NamedTuple

from absl import app, flags


class Result(NamedTuple):
    """What a command leaves: its exit status and what it printed."""

    returncode: int
    stdout: str
    stderr: str


def run(experiment, *arguments):
    """Returns the result of `python -m experiments.EXPERIMENT ARGUMENTS`."""
    module = experiment if "." in experiment or experiment == "checkpoints_convert" else f"experiments.{experiment}"
    assert app  # absl's own flags are defined before those of the command
    logger, handlers = logging.getLogger(), list(logging.getLogger().handlers)
    out, err, argv = io.StringIO(), io.StringIO(), sys.argv
    sys.argv = [module, *map(str, arguments)]
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            status = _status(module, err)
    finally:
        _forget_flags(module)
        sys.argv = argv
        logger.handlers[:] = handlers
        flags.FLAGS.unparse_flags()
    return Result(status, out.getvalue(), err.getvalue())


def _forget_flags(module):
    """Removes the flags that the command defined, because the next one has flags of the
    same names.
    """
    path = module.replace(".", "/")
    for name, defined in flags.FLAGS.flags_by_module_dict().items():
        if name.endswith((f"{path}.py", f"{path}/__main__.py")):
            for flag in list(defined):
                delattr(flags.FLAGS, flag.name)


def _status(module, err):
    """Returns the exit status, and prints what the interpreter prints at exit."""
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    except SystemExit as exit_:
        if isinstance(exit_.code, str):
            err.write(exit_.code + "\n")
            return 1
        return exit_.code or 0
    except BaseException:
        traceback.print_exc(file=err)
        return 1
    return 0
