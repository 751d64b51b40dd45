"""Keeps compiled programs between runs, in the user's cache directory.

JAX's persistent compilation cache does the work. It is safe with several processes: a
program that cannot be read is compiled again.
"""

import contextlib
import hashlib
import os
import pathlib
import platform

import jax

OFF = "off"
_MAX_BYTES = 2_000_000_000  # beyond it the oldest programs are removed
_MIN_SECONDS = 0.2  # programs that compile faster are not kept


def use(directory: str | None) -> None:
    """Makes this process read and write compiled programs. An unusable directory
    switches the cache off.

    Args:
        directory: directory of the programs; "off": none; None: ganspace_jax/compiled
            in the user's cache directory, or the directory that
            JAX_COMPILATION_CACHE_DIR names.
    """
    if directory == OFF:
        jax.config.update("jax_enable_compilation_cache", False)
        return
    if directory is None and os.environ.get("JAX_COMPILATION_CACHE_DIR"):
        return
    try:
        root = pathlib.Path(directory or default_directory()) / _machine()
        root.mkdir(parents=True, exist_ok=True)
        (root / ".writable").touch()
    except (OSError, RuntimeError):  # RuntimeError: the user has no home directory
        return
    _remove_oldest(root)
    jax.config.update("jax_compilation_cache_dir", str(root))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", _MIN_SECONDS)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


def default_directory() -> pathlib.Path:
    """Returns XDG_CACHE_HOME/ganspace_jax/compiled, or
    ~/.cache/ganspace_jax/compiled.
    """
    home = os.environ.get("XDG_CACHE_HOME")
    return (pathlib.Path(home) if home else pathlib.Path.home() / ".cache") / "ganspace_jax" / "compiled"


def _machine() -> str:
    """Returns digits that identify the processor, because a CPU's programs run on no
    other one.
    """
    described = platform.machine()
    with contextlib.suppress(OSError):
        lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
        described += "".join(sorted({line for line in lines if line.startswith(("flags", "Features", "model name"))}))
    return hashlib.sha256(described.encode()).hexdigest()[:12]


def _remove_oldest(root: pathlib.Path) -> None:
    """Removes the programs that were used longest ago until the directory is small
    enough.
    """
    with contextlib.suppress(OSError):
        entries = [(path, path.stat()) for path in root.iterdir() if path.is_file()]
        total = sum(stat.st_size for _, stat in entries)
        for path, stat in sorted(entries, key=lambda entry: max(entry[1].st_atime, entry[1].st_mtime)):
            if total <= _MAX_BYTES:
                return
            path.unlink(missing_ok=True)
            total -= stat.st_size
