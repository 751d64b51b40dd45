"""Ctrl-C, SIGTERM and full disks end every long command in one line; what can be
resumed is.
"""

import builtins
import errno
import io
import json
import os
import pathlib
import signal

import jax
import numpy as np
import pytest

from checkpoints_convert import formats
from ganspace_jax.directions import components, edited_images
from ganspace_jax.files import pictures
from ganspace_jax.generators import base, stylegan2, zoo
from ganspace_jax.measures import effects
from ganspace_jax.sampling import sweeps
from tests.commands import run


def _signalled(number, function, at=1):
    """Returns the function; its call with this number first sends a signal to this
    process.
    """
    count = 0

    def call(*args, **options):
        nonlocal count
        count += 1
        if count == at:
            signal.raise_signal(number)
        return function(*args, **options)

    return call


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    config = stylegan2.Config(z_dim=4, w_dim=4, channels=(3, 2), mapping_layers=2)
    directory = tmp_path_factory.mktemp("model") / "model"
    zoo.save(directory, base.split(stylegan2.StyleGAN2(config, key=jax.random.key(0))))
    result = run("decompose", f"--generator={directory}", "--num_samples=64", "--num_components=2",
                 f"--workdir={directory.parent}")  # fmt: skip
    assert result.returncode == 0, result.stderr
    return directory


def _assert_stopped(result, number, message):
    lines = [line for line in result.stderr.splitlines() if "stopped" in line]
    assert result.returncode == 128 + number and "Traceback" not in result.stderr, result.stderr
    assert lines == [message] and result.stderr.splitlines()[-1] == message


NOTHING = "stopped; this run wrote no results"
CASES = {
    "visualize": (edited_images, "component_rows", ()),
    "edit": (edited_images, "edited_images", ("--edit=E(v0)=1",)),
    "generate": (pictures, "save_png", ()),
    "effects": (effects, "measure", ()),
}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("command", CASES)
def test_commands_that_cannot_resume_leave_nothing(tmp_path, monkeypatch, model, command, number):
    module, name, flags = CASES[command]
    if command != "generate":
        flags += (f"--components={model.parent / 'components.npz'}",)
    monkeypatch.setattr(module, name, _signalled(number, getattr(module, name)))
    handlers = [signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)]
    result = run(command, *flags, f"--generator={model}", f"--workdir={tmp_path / 'new'}")
    _assert_stopped(result, number, NOTHING)
    assert not list(tmp_path.iterdir())
    assert [signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)] == handlers


def test_a_stopped_conversion_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(formats, "convert", _signalled(signal.SIGINT, formats.convert))
    source = "tests/golden/stylegan2_ada_cifar32.pkl"
    result = run("checkpoints_convert", f"--source={source}", f"--output={tmp_path / 'new'}")
    _assert_stopped(result, signal.SIGINT, NOTHING)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_decomposition_is_resumed(tmp_path, monkeypatch, model, number):
    monkeypatch.setattr(sweeps, "STEP_SECONDS", 0.0)
    flags = (f"--generator={model}", "--layer=b8.conv1", "--num_samples=640", "--num_components=2", "--batch_size=20")
    with monkeypatch.context() as patch:
        patch.setattr(sweeps, "_run_step", _signalled(number, sweeps._run_step, at=9))
        result = run("decompose", *flags, f"--workdir={tmp_path}")
    message = f"stopped; saved in {tmp_path / 'state'}; the same command continues from there"
    _assert_stopped(result, number, message)
    assert {path.name for path in tmp_path.iterdir()} == {"state"}
    assert run("decompose", *flags, f"--workdir={tmp_path}").returncode == 0
    assert not (tmp_path / "state").exists() and (tmp_path / "components.npz").is_file()


LINEARITY = ("linearity", "--layers=b4.conv1,b8.conv0,b8.conv1", "--num_samples=320", "--num_components=2",
             "--batch_size=20")  # fmt: skip


def _linearity(model, workdir):
    return run(*LINEARITY, f"--generator={model}", f"--workdir={workdir}")


@pytest.fixture(scope="module")
def whole(tmp_path_factory, model):
    """Returns linearity.json of a run that is not stopped."""
    directory = tmp_path_factory.mktemp("whole")
    result = _linearity(model, directory)
    assert result.returncode == 0, result.stderr
    return json.loads((directory / "linearity.json").read_text())


def _stopped_linearity(monkeypatch, model, workdir, at):
    monkeypatch.setattr(sweeps, "STEP_SECONDS", 0.0)
    with monkeypatch.context() as patch:
        patch.setattr(sweeps, "_run_step", _signalled(signal.SIGINT, sweeps._run_step, at=at))
        result = _linearity(model, workdir)
    assert result.returncode == 130 and result.stderr.splitlines()[-1].startswith("stopped; saved in "), result.stderr
    assert {path.name for path in workdir.iterdir()} == {"state"}


@pytest.mark.parametrize("at", [3, 16])  # within a group, and at the last step
def test_a_stopped_linearity_is_resumed(tmp_path, monkeypatch, model, whole, at):
    _stopped_linearity(monkeypatch, model, tmp_path, at)
    steps = []
    run_step = sweeps._run_step
    with monkeypatch.context() as patch:
        patch.setattr(sweeps, "_run_step", lambda *args: steps.append(1) or run_step(*args))
        again = _linearity(model, tmp_path)
    assert again.returncode == 0 and len(steps) == 16 - at, again.stderr  # three layers in one sweep
    assert {path.name for path in tmp_path.iterdir()} == {"linearity.json", "linearity.md", "run.flags"}
    assert json.loads((tmp_path / "linearity.json").read_text()) == whole


def test_states_of_another_linearity_are_refused_and_damaged_ones_set_aside(
    tmp_path, monkeypatch, caplog, model, whole
):
    _stopped_linearity(monkeypatch, model, tmp_path, at=5)
    saved = _files(tmp_path)
    for flag, found in (("--seed=1", "0 for --seed"), ("--layers=b8.conv0", "b4.conv1,b8.conv0,b8.conv1 for --layer")):
        other = run(*LINEARITY, flag, f"--generator={model}", f"--workdir={tmp_path}")
        assert other.returncode == 1 and f"holds an unfinished run with {found}" in other.stderr, other.stderr
        assert _files(tmp_path) == saved
    about = tmp_path / "state" / "about.json"
    about.write_bytes(about.read_bytes()[:-9])
    again = _linearity(model, tmp_path)
    assert again.returncode == 0 and "state.damaged; this run starts again" in caplog.text, again.stderr
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"linearity.json", "linearity.md", "run.flags", "state.damaged"}
    assert json.loads((tmp_path / "linearity.json").read_text()) == whole


def test_all_layers_are_decomposed_in_one_run_that_can_be_repeated(tmp_path, model):
    """One directory per layer with enough dimensions, each with the components of a run
    for itself.
    """
    flags = (f"--generator={model}", "--num_samples=64", "--num_components=4")
    for _ in range(2):
        result = run("decompose", *flags, "--layer=all", f"--workdir={tmp_path / 'all'}")
        assert result.returncode == 0, result.stderr
    directories = {path.name for path in (tmp_path / "all").iterdir() if path.is_dir()}
    assert {"w", "b4.conv1", "b8.conv1"} <= directories and "state" not in directories
    rows = (tmp_path / "all" / "layers.md").read_text().splitlines()[2:]
    assert {row.split("|")[1].strip() for row in rows} == directories
    assert run("decompose", *flags, "--layer=b8.conv1", f"--workdir={tmp_path / 'one'}").returncode == 0
    one, among_all = (components.load(tmp_path / name / "components.npz") for name in ("one", "all/b8.conv1"))
    np.testing.assert_allclose(among_all.latent_components, one.latent_components, atol=1e-4)
    assert among_all.source.options["layer"] == "b8.conv1"


def _files(directory):
    return {path.relative_to(directory): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


class FullDisk:
    """Opens files, but raises the error of a full disk in a directory from the file
    with this number on.
    """

    def __init__(self, directory, number):
        self.directory, self.number, self.count, self.open = directory, number, 0, io.open

    def __call__(self, file, mode="r", *args, **options):
        is_inside = isinstance(file, str | pathlib.Path) and self.directory in pathlib.Path(file).parents
        if is_inside and set(mode) & set("wax+"):
            self.count += 1
            if self.count >= self.number:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(file))
        return self.open(file, mode, *args, **options)


@pytest.mark.parametrize("command", ["visualize", "edit", "generate", "decompose", "checkpoints_convert"])
def test_a_full_disk_is_one_line_and_what_was_there_remains(tmp_path, model, command):
    """At every file that the command writes, one after the other."""
    work = tmp_path / "work"
    work.mkdir()
    (work / "notes").write_text("mine")
    flags = {
        "generate": ("--seeds=0,1", "--save_arrays", f"--generator={model}", f"--workdir={work}"),
        "decompose": ("--num_samples=64", "--num_components=2", f"--generator={model}", f"--workdir={work}"),
        "checkpoints_convert": ("--source=tests/golden/stylegan2_ada_cifar32.pkl", f"--output={work / 'new'}"),
    }.get(command) or (*CASES[command][2], f"--components={model.parent / 'components.npz'}", f"--workdir={work}")
    number = 0
    while True:
        number += 1
        with pytest.MonkeyPatch.context() as patch:
            disk = FullDisk(work, number)
            patch.setattr(io, "open", disk)
            patch.setattr(builtins, "open", disk)
            result = run(command, *flags)
        if disk.count < number:
            break
        lines = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
        assert result.returncode == 1 and len(lines) == 1, result.stderr
        assert "Traceback" not in result.stderr and "No space left on device" in lines[0]
        assert "what was there before remains" in lines[0] or "cannot be written" in lines[0]
        assert _files(work) == {pathlib.Path("notes"): b"mine"}
    assert result.returncode == 0 and number > 2 and len(_files(work)) > 2, result.stderr
