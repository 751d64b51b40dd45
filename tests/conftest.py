"""How all tests run: on the CPU, with every annotation of the package checked at run
time.

Compiled programs are kept in the user's cache directory. The processes that share the
work, those that tests start, and later sessions read them there. Programs are compiled
without most optimizations, in a fifth of the time; the comparisons with reference
images are the exception.

The import hook must come before the first import of `ganspace_jax`; pytest loads this
file first.
"""

import gc
import os
import pathlib
import pkgutil
import shutil

os.environ["JAX_PLATFORMS"] = "cpu"
CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "ganspace_jax" / "tests"
MAX_CACHE_BYTES = 2_000_000_000  # a larger cache begins anew
if "PYTEST_XDIST_WORKER" not in os.environ:
    if sum(path.stat().st_size for path in CACHE.glob("*")) > MAX_CACHE_BYTES:
        shutil.rmtree(CACHE, ignore_errors=True)
    os.environ["JAX_COMPILATION_CACHE_DIR"] = str(CACHE)
os.environ["JAX_DISABLE_MOST_OPTIMIZATIONS"] = "true"
os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
os.environ["JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES"] = "-1"

import jax  # noqa: E402 - after the environment
import jaxtyping  # noqa: E402
import pytest  # noqa: E402

# The numeric tower: an int is good where a float is asked for, as type checkers have it
# (PEP 484).
CHECKER = "beartype.beartype(conf=beartype.BeartypeConf(is_pep484_tower=True))"
# But for the readers of hostile files, where each step of an interpreter would be
# checked.
PACKAGE = pathlib.Path(__file__).parents[1] / "ganspace_jax"
MODULES = [
    *pkgutil.iter_modules([str(PACKAGE)], "ganspace_jax."),
    *pkgutil.iter_modules([str(PACKAGE / "files")], "ganspace_jax.files."),
]
# shared_flags: absl would see the checker in place of the command that defines a flag.
UNCHECKED = ("ganspace_jax.files", "ganspace_jax.files.inert", "ganspace_jax.shared_flags", "ganspace_jax.command_line")
jaxtyping.install_import_hook([one.name for one in MODULES if one.name not in UNCHECKED], CHECKER)

# Each full collection visits all that JAX keeps, and finds little: a tenth of the time.
gc.set_threshold(100_000, 20, 20)

jax.config.update("jax_num_cpu_devices", 2)  # for the tests of what is spread over devices; others use the first


def pytest_addoption(parser):
    """For runs that take longer than a suite should."""
    parser.addoption("--mutations", type=int, default=200, help="Mutations of the fuzz test.")
    parser.addoption("--kills", type=int, default=1, help="Moments at which test_resume.py kills each kind of run.")


# The files that take longest begin first, so that no process is left alone with one.
LONGEST = ("scenes/training", "files/test_resume", "generators/test_stylegan", "methods", "scenes", "experiments")


def pytest_collection_modifyitems(items):
    """Puts the tests of the longest files first; all other tests keep their order."""

    def rank(item):
        return next((k for k, name in enumerate(LONGEST) if f"tests/{name}" in str(item.path)), len(LONGEST))

    items.sort(key=rank)


@pytest.fixture
def optimized():
    """For tests of programs as users compile them."""
    jax.clear_caches()
    jax.config.update("jax_disable_most_optimizations", False)
    yield
    jax.config.update("jax_disable_most_optimizations", True)
    jax.clear_caches()
