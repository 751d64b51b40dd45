"""States of a run: the newest sound one comes back bit-equal, and a damaged one gives
way to the one before.
"""

import errno
import logging
import os
import resource
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp
import pytest

from ganspace_jax.errors import InputError
from ganspace_jax.files import checksums, run_states
from ganspace_jax.files.checkpoints import CheckpointError


def _state(value):
    return (np.full(3, value, np.float32), {"step": np.int32(value)})


def test_training_keeps_the_last_two_states(tmp_path):
    saved = run_states.RunCheckpoints(tmp_path)
    assert saved.restore(_state(0)) is None
    for step in (1, 2, 3):
        saved.save(step, _state(step))
    saved.close()
    again = run_states.RunCheckpoints(tmp_path)
    step, (weights, rest) = again.restore(_state(0))
    assert step == 3
    np.testing.assert_array_equal(weights, np.full(3, 3.0))
    assert rest["step"] == 3
    assert {p.name for p in tmp_path.iterdir() if p.is_dir()} == {"2", "3"}


def test_a_damaged_state_gives_way_to_the_one_before(tmp_path, caplog):
    saved = run_states.RunCheckpoints(tmp_path)
    saved.save(1, _state(1))
    saved.save(2, _state(2))
    saved.close()
    for path in (tmp_path / "2").rglob("*"):
        if path.is_file():
            path.write_bytes(b"")
    with caplog.at_level(logging.WARNING, logger="ganspace_jax.files.run_states"):
        restored = run_states.RunCheckpoints(tmp_path).restore(_state(0))
    assert restored is not None and restored[0] == 1 and restored[1][1]["step"] == 1
    assert "state 2 is damaged, trying the one before" in caplog.text
    aside = tmp_path.with_name(f"{tmp_path.name}.damaged")
    assert f"moved to {aside / '2'}" in caplog.text and (aside / "2").is_dir() and not (tmp_path / "2").exists()


def test_damaged_states_are_set_aside_and_the_run_starts_again(tmp_path, caplog):
    """Nothing is deleted, also if a second state of the same name is damaged."""
    for _ in range(2):
        saved = run_states.RunCheckpoints(tmp_path / "run")
        saved.save(1, _state(1))
        saved.close()
        for path in (tmp_path / "run" / "1").rglob("*"):
            if path.is_file():
                path.write_bytes(b"")
        with caplog.at_level(logging.WARNING, logger="ganspace_jax.files.run_states"):
            assert run_states.RunCheckpoints(tmp_path / "run").restore(_state(0)) is None
    assert "run: every state in it was damaged; starting again" in caplog.text
    assert {path.name for path in (tmp_path / "run.damaged").iterdir()} == {"1", "1-2"}
    assert not list((tmp_path / "run").iterdir())


def test_a_damaged_state_that_cannot_be_moved_is_named(tmp_path):
    saved = run_states.RunCheckpoints(tmp_path / "run")
    saved.save(1, _state(1))
    for path in (tmp_path / "run" / "1").rglob("*"):
        if path.is_file():
            path.write_bytes(b"")
    (tmp_path / "run.damaged").write_text("in the way")
    with pytest.raises(InputError, match=r"run/1: is damaged, and cannot be moved to \S+run.damaged: File exists"):
        saved.restore(_state(0))
    assert (tmp_path / "run" / "1").is_dir()


def test_a_run_that_fell_back_saves_again(tmp_path):
    """Also at a step before the damaged one, which goes; and from some steps only,
    where these are asked for.
    """
    saved = run_states.RunCheckpoints(tmp_path)
    saved.save(4, _state(4))
    saved.save(8, _state(8))
    assert saved.restore(_state(0), last=7)[0] == 4
    assert saved.restore(_state(0), first=9) is None
    saved.save(6, _state(6))
    assert saved.restore(_state(0))[0] == 6
    saved.close()


def test_float64_comes_back_as_float64(tmp_path):
    saved = run_states.RunCheckpoints(tmp_path, keep=None)
    for step in range(4):
        saved.save(step, {"x": np.array([1 / 3 + step])})
    for step in range(4):
        assert saved.restore({"x": np.zeros(1)}, step, step)[1]["x"][0] == 1 / 3 + step
    saved.close()


def test_states_of_another_run_are_not_overwritten(tmp_path):
    """Other shapes: the run stops with one line, and what was there stays."""
    saved = run_states.RunCheckpoints(tmp_path)
    saved.save(1, _state(1))
    saved.close()
    with pytest.raises(CheckpointError, match="holds a run with other shapes; repeat its flags"):
        run_states.RunCheckpoints(tmp_path).restore((np.zeros(4, np.float32), {"step": np.int32(0)}))
    assert (tmp_path / "1").is_dir()


def test_of_several_runs_the_state_with_the_right_shapes_is_restored(tmp_path):
    """Damage can change the shapes of a state, which then looks like the state of
    another run.
    """
    saved = run_states.RunCheckpoints(tmp_path)
    saved.save(1, _state(1))
    saved.save(2, (np.zeros(4, np.float32), {"step": np.int32(2)}))
    assert saved.restore(_state(0))[0] == 1
    assert (tmp_path.with_name(f"{tmp_path.name}.damaged") / "2").is_dir()
    saved.close()


def _swap_arrays(tmp_path):
    """Gives the arrays of step 3 the checksum of step 2, by writing with the checksum
    of another state.
    """
    saved = run_states.RunCheckpoints(tmp_path)
    saved.save(2, _state(2))
    of_arrays = checksums.of_arrays
    checksums.of_arrays = lambda arrays: of_arrays(run_states._plain(_state(2)))
    try:
        saved.save(3, _state(3))
    finally:
        checksums.of_arrays = of_arrays
    saved.close()


def test_a_state_that_differs_from_its_checksum_gives_way_to_the_one_before(tmp_path, caplog):
    _swap_arrays(tmp_path)
    with caplog.at_level(logging.WARNING, logger="ganspace_jax.files.run_states"):
        step, (weights, _) = run_states.RunCheckpoints(tmp_path).restore(_state(0))
    assert step == 2 and weights[0] == 2.0
    assert "state 3 is damaged, trying the one before: its arrays differ from their checksum" in caplog.text


def test_states_without_a_checksum_are_restored(tmp_path):
    """Older versions wrote such states."""
    path = tmp_path.absolute()
    with ocp.CheckpointManager(path, item_handlers=ocp.StandardCheckpointHandler()) as manager:
        manager.save(5, args=ocp.args.StandardSave(run_states._plain(_state(5))))
        manager.wait_until_finished()
    step, (weights, rest) = run_states.RunCheckpoints(tmp_path).restore(_state(0))
    assert step == 5 and weights.tolist() == [5.0] * 3 and rest["step"] == 5


def test_states_on_several_devices_come_back_where_they_were(tmp_path):
    mesh = jax.make_mesh((2,), ("x",), axis_types=(jax.sharding.AxisType.Auto,))
    replicated = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec())
    state = jax.device_put({"a": jnp.arange(3.0), "b": jnp.ones((2, 2), jnp.bfloat16)}, replicated)
    saved = run_states.RunCheckpoints(tmp_path)
    saved.save(1, state)
    _, found = saved.restore(jax.tree.map(jnp.zeros_like, state))
    saved.close()
    for name, array in state.items():
        assert found[name].dtype == array.dtype and found[name].sharding == array.sharding
        np.testing.assert_array_equal(found[name], array)


def test_a_full_disk_is_named_and_the_states_before_remain(tmp_path, monkeypatch):
    saved = run_states.RunCheckpoints(tmp_path)
    saved.save(1, _state(1))

    def fail(*_, **__):
        (tmp_path / "2.orbax-checkpoint-tmp").mkdir()
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(saved._manager, "save", fail)
        with pytest.raises(CheckpointError) as caught:
            saved.save(2, _state(2))
    assert str(caught.value) == f"{tmp_path}: cannot be written: No space left on device; " + (
        "states that were saved before are intact"
    )
    assert {path.name for path in tmp_path.iterdir()} == {"1"}
    assert saved.restore(_state(0))[0] == 1
    saved.save(2, _state(2))
    assert saved.restore(_state(0))[0] == 2
    saved.close()


def test_orbax_prints_nothing_before_the_error_and_saves_again_afterwards(tmp_path, capfd, caplog):
    """A limit on the size of files stands for a full disk: writing fails in the same
    place, with another number.
    """
    state = {"a": np.random.default_rng(0).standard_normal(2**17)}  # 1 MB
    saved = run_states.RunCheckpoints(tmp_path)
    saved.save(1, state)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (2**18, hard))
        with pytest.raises(CheckpointError, match="cannot be written: File too large"):
            saved.save(2, state)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert capfd.readouterr() == ("", "") and not caplog.records
    assert saved.restore(state)[0] == 1
    saved.save(2, state)
    assert saved.restore(state)[0] == 2
    saved.close()
    assert {path.name for path in tmp_path.iterdir()} == {"1", "2"}


def test_what_a_failed_save_left_is_removed_even_while_threads_still_write_there(tmp_path, monkeypatch):
    saved = run_states.RunCheckpoints(tmp_path)
    left, remove, calls = tmp_path / "2.orbax-checkpoint-tmp", shutil.rmtree, []
    left.mkdir()

    def remove_and_write(path, **options):
        remove(path, **options)
        calls.append(path)
        if len(calls) < 3:
            left.mkdir()

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "rmtree", remove_and_write)
        saved.save(1, _state(1))
    assert calls[:3] == [left] * 3 and not left.exists()
    saved.close()
