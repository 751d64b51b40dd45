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
import warnings
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
    others = _take_flags()
    logger, handlers = logging.getLogger(), list(logging.getLogger().handlers)
    out, err, argv = io.StringIO(), io.StringIO(), sys.argv
    sys.argv = [module, *map(str, arguments)]
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            status = _status(module, err)
    finally:
        sys.argv = argv
        logger.handlers[:] = handlers
        _take_flags()
        for name, flag in others.items():
            flags.FLAGS[name] = flag
        flags.FLAGS.unparse_flags()
    return Result(status, out.getvalue(), err.getvalue())


def _take_flags():
    """Removes all flags but absl's own, and returns them. Commands have flags of the
    same names.
    """
    assert app  # absl's own flags are defined by now
    own = {flag.name for name, defined in _by_module().items() if name.startswith("absl.") for flag in defined}
    taken = {name: flags.FLAGS[name] for name in flags.FLAGS if name not in own}
    for name in taken:
        if name in flags.FLAGS:  # a short name goes with the long one
            delattr(flags.FLAGS, name)
    return taken


def _by_module():
    return flags.FLAGS.flags_by_module_dict()


def _status(module, err):
    """Returns the exit status, and prints what the interpreter prints at exit."""
    try:
        with warnings.catch_warnings():
            # Tests of the converter's functions have imported its module before.
            warnings.filterwarnings("ignore", "'.*__main__' found in sys.modules", RuntimeWarning)
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
