"""The cache of compiled programs: where it is, and that it never makes a run fail."""

import os
import pathlib
import subprocess
import sys

import jax
import pytest

from ganspace_jax import compilation_cache

OPTIONS = (
    "jax_compilation_cache_dir",
    "jax_enable_compilation_cache",
    "jax_persistent_cache_min_compile_time_secs",
    "jax_persistent_cache_min_entry_size_bytes",
)
PROGRAM = """
import sys, jax, jax.numpy as jnp
from ganspace_jax import compilation_cache
compilation_cache._MIN_SECONDS = 0.0
compilation_cache.use(sys.argv[1] if len(sys.argv) > 1 else None)
print(jax.jit(lambda x: jnp.sort(x) @ x)(jnp.arange(8.0)))
"""


@pytest.fixture(autouse=True)
def restored(monkeypatch):
    """Restores the options of JAX that a test changes."""
    monkeypatch.delenv("JAX_COMPILATION_CACHE_DIR")
    before = {name: getattr(jax.config, name) for name in OPTIONS}
    yield
    for name, value in before.items():
        jax.config.update(name, value)


def _start(*arguments, **variables):
    environment = {**os.environ, "JAX_PLATFORMS": "cpu", "PYTHONPATH": os.getcwd(), **variables}
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *map(str, arguments)],
        env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def _programs(directory):
    return sorted(path for path in pathlib.Path(directory).rglob("*-cache"))


def test_it_is_in_the_users_cache_unless_a_directory_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    compilation_cache.use(None)
    inside = pathlib.Path(jax.config.jax_compilation_cache_dir)
    assert inside.parent == tmp_path / "ganspace_jax" / "compiled" and inside.is_dir()
    compilation_cache.use(str(tmp_path / "own"))
    assert pathlib.Path(jax.config.jax_compilation_cache_dir).parent == tmp_path / "own"
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", "elsewhere")
    before = jax.config.jax_compilation_cache_dir
    compilation_cache.use(None)
    assert jax.config.jax_compilation_cache_dir == before
    compilation_cache.use("off")
    assert not jax.config.jax_enable_compilation_cache


def test_processes_that_start_together_share_it_and_damage_costs_time_only(tmp_path):
    """Two at once, then one that finds truncated programs, then one without a writable
    directory.
    """
    variables = {"XDG_CACHE_HOME": str(tmp_path), "JAX_ENABLE_COMPILATION_CACHE": "true"}
    both = [process.communicate() for process in [_start(**variables), _start(**variables)]]
    programs = _programs(tmp_path)
    assert programs and both[0][0] == both[1][0] != ""
    for path in programs:
        path.write_bytes(path.read_bytes()[:20])
    damaged = _start(**variables)
    assert damaged.communicate()[0] == both[0][0] and damaged.returncode == 0
    (tmp_path / "file").write_text("in the way")
    blocked = _start(tmp_path / "file" / "cache")
    assert blocked.communicate()[0] == both[0][0] and blocked.returncode == 0


def test_the_programs_that_were_used_longest_ago_make_room(tmp_path, monkeypatch):
    monkeypatch.setattr(compilation_cache, "_MAX_BYTES", 250)
    compilation_cache.use(str(tmp_path))
    root = pathlib.Path(jax.config.jax_compilation_cache_dir)
    for age, name in enumerate(("new-cache", "middle-cache", "old-cache")):
        (root / name).write_bytes(bytes(100))
        os.utime(root / name, (1e9 - age, 1e9 - age))
    os.utime(root / ".writable", (2e9, 2e9))
    compilation_cache.use(str(tmp_path))
    assert [path.name for path in _programs(tmp_path)] == ["middle-cache", "new-cache"]
