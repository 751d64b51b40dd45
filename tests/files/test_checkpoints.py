"""Checkpoints: what is written comes back bit-equal; what is damaged, missing or of another shape is named."""

import json
import logging
import shutil

import jax.numpy as jnp
import numpy as np
import pytest

from ganspace_jax.files import checkpoints

ARRAYS = {
    "layer": {"weight": np.arange(6, dtype=np.float32).reshape(2, 3), "half": np.ones(2, jnp.bfloat16)},
    "count": np.int32(7),
}
CONFIG = {"family": "anything", "size": 3}


@pytest.fixture
def directory(tmp_path):
    checkpoints.save_arrays(tmp_path / "model", ARRAYS, CONFIG)
    return tmp_path / "model"


def test_round_trip(directory):
    arrays = checkpoints.load_arrays(directory, ARRAYS)
    np.testing.assert_array_equal(arrays["layer"]["weight"], ARRAYS["layer"]["weight"])
    assert arrays["layer"]["half"].dtype == jnp.bfloat16 and arrays["count"] == 7
    assert checkpoints.load_config(directory) == CONFIG
    assert {p.name for p in directory.parent.iterdir()} == {"model"}


def test_saving_again_replaces_all(directory):
    checkpoints.save_arrays(directory, {"other": np.zeros(3)}, {"family": "new"})
    assert list(checkpoints.load_arrays(directory, {"other": np.zeros(3)})) == ["other"]
    assert checkpoints.load_config(directory) == {"family": "new"}


def test_a_failed_save_leaves_the_old_one_alone(directory):
    with pytest.raises(TypeError):
        checkpoints.save_arrays(directory, {"a": np.zeros(1)}, {"family": object()})
    checkpoints.load_arrays(directory, ARRAYS)
    assert {p.name for p in directory.parent.iterdir()} == {"model"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda a: {**a, "count": np.zeros(2)}, r"array count has shape \(\), config.json asks for \(2,\)"),
        (lambda a: {**a, "extra": np.zeros(2)}, r"array extra has shape none \(missing\)"),
        (lambda a: {"count": a["count"]}, r"array layer.half has shape \(2,\), .* none \(no such array\)"),
    ],
)
def test_another_layout_is_refused_by_name(directory, change, message):
    with pytest.raises(checkpoints.CheckpointError, match=message):
        checkpoints.load_arrays(directory, change(ARRAYS))


def test_damage_is_named(directory):
    for path in (directory / "arrays").rglob("*"):
        if path.is_file() and path.stat().st_size > 64:
            path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(checkpoints.CheckpointError, match="arrays: damaged: "):
        checkpoints.load_arrays(directory, ARRAYS)


@pytest.mark.parametrize(
    ("text", "message"),
    [(None, "no config.json"), ("{", "cannot be read"), ("[]", "no 'family'"), ("{}", "no 'family'")],
)
def test_bad_configurations_are_named(tmp_path, text, message):
    if text is not None:
        (tmp_path / "config.json").write_text(text)
    with pytest.raises(checkpoints.CheckpointError, match=message):
        checkpoints.load_config(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    with pytest.raises(checkpoints.CheckpointError, match="no arrays/ in it"):
        checkpoints.load_arrays(tmp_path, ARRAYS)


def _state(value):
    return (np.full(3, value, np.float32), {"step": np.int32(value)})


def test_training_keeps_the_last_two_states(tmp_path):
    saved = checkpoints.RunCheckpoints(tmp_path)
    assert saved.restore(_state(0)) is None
    for step in (1, 2, 3):
        saved.save(step, _state(step))
    saved.close()
    again = checkpoints.RunCheckpoints(tmp_path)
    step, (weights, rest) = again.restore(_state(0))
    assert step == 3
    np.testing.assert_array_equal(weights, np.full(3, 3.0))
    assert rest["step"] == 3
    assert {p.name for p in tmp_path.iterdir() if p.is_dir()} == {"2", "3"}


def test_a_damaged_state_gives_way_to_the_one_before(tmp_path, caplog):
    saved = checkpoints.RunCheckpoints(tmp_path)
    saved.save(1, _state(1))
    saved.save(2, _state(2))
    saved.close()
    for path in (tmp_path / "2").rglob("*"):
        if path.is_file():
            path.write_bytes(b"")
    with caplog.at_level(logging.WARNING, logger="ganspace_jax.files.checkpoints"):
        restored = checkpoints.RunCheckpoints(tmp_path).restore(_state(0))
    assert restored is not None and restored[0] == 1 and restored[1][1]["step"] == 1
    assert "state 2 is damaged, trying the one before" in caplog.text
    shutil.rmtree(tmp_path / "1")
    with pytest.raises(checkpoints.CheckpointError, match="every state in it is damaged"):
        checkpoints.RunCheckpoints(tmp_path).restore(_state(0))


def test_a_run_that_fell_back_saves_again(tmp_path):
    """Also at a step before the damaged one, which goes; and from some steps only, where these are asked for."""
    saved = checkpoints.RunCheckpoints(tmp_path)
    saved.save(4, _state(4))
    saved.save(8, _state(8))
    assert saved.restore(_state(0), last=7)[0] == 4
    assert saved.restore(_state(0), first=9) is None
    saved.save(6, _state(6))
    assert saved.restore(_state(0))[0] == 6
    saved.close()


def test_float64_comes_back_as_float64(tmp_path):
    saved = checkpoints.RunCheckpoints(tmp_path, keep=None)
    for step in range(4):
        saved.save(step, {"x": np.array([1 / 3 + step])})
    for step in range(4):
        assert saved.restore({"x": np.zeros(1)}, step, step)[1]["x"][0] == 1 / 3 + step
    saved.close()


def test_states_of_another_run_are_not_overwritten(tmp_path):
    """Other shapes: the run stops with one line, and what was there stays."""
    saved = checkpoints.RunCheckpoints(tmp_path)
    saved.save(1, _state(1))
    saved.close()
    with pytest.raises(checkpoints.CheckpointError, match="holds a run with other shapes; repeat its flags"):
        checkpoints.RunCheckpoints(tmp_path).restore((np.zeros(4, np.float32), {"step": np.int32(0)}))
    assert (tmp_path / "1").is_dir()
