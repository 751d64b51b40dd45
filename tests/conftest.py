"""How all tests run: on the CPU, compiled afresh, and with every annotation of the package checked at run time.

The import hook must come before the first import of `ganspace_jax`; pytest loads this file first.
"""

import os
import pathlib
import pkgutil

os.environ["JAX_PLATFORMS"] = "cpu"
os.environ["JAX_ENABLE_COMPILATION_CACHE"] = "false"

import jax
import jaxtyping

# The numeric tower: an int is good where a float is asked for, as type checkers have it (PEP 484).
CHECKER = "beartype.beartype(conf=beartype.BeartypeConf(is_pep484_tower=True))"
# But for the readers of hostile files, where each step of an interpreter would be checked.
MODULES = pkgutil.iter_modules([str(pathlib.Path(__file__).parents[1] / "ganspace_jax")], "ganspace_jax.")
jaxtyping.install_import_hook([one.name for one in MODULES if one.name != "ganspace_jax.inert"], CHECKER)

jax.config.update("jax_num_cpu_devices", 2)  # for the tests of what is spread over devices; others use the first


def pytest_addoption(parser):
    """See test_hostile_files.py."""
    parser.addoption("--mutations", type=int, default=300, help="Mutations of the fuzz test.")
