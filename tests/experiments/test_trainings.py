"""Trainings: signals stop them and the same command goes on; another run, another
program's files and damaged files are named before anything is written.
"""

import json
import pathlib
import shutil
import signal

import pytest

from ganspace_jax.errors import InputError
from ganspace_jax.files import outputs, trainings
from ganspace_jax.sampling import devices
from ganspace_jax.scenes import probe_training
from ganspace_jax.scenes.training import adversarial
from tests.commands import run

SCENES = ("train_scenes", "--channels=2", "--discriminator_channels=2", "--latent_dim=2", "--mapping_layers=1",
          "--num_images=40", "--batch_size=4", "--sample_every=16", "--r1_weight=0", "--supersampling=1")  # fmt: skip
PROBE = ("train_probe", "--resolution=8", "--num_images=40", "--batch_size=4", "--supersampling=1", "--num_held_out=8")


@pytest.fixture(autouse=True)
def one_device(monkeypatch):
    monkeypatch.setattr(devices, "use_cpu_devices", lambda count: None)  # only a new process can change them


def _signal_at(monkeypatch, module, number, steps, times=1):
    """Sends signals to this process in the steps with these numbers."""
    update, count = module.update, 0

    def update_and_signal(*args, **options):
        nonlocal count
        count += 1
        for _ in range(times if count in steps else 0):
            signal.raise_signal(number)
        return update(*args, **options)

    monkeypatch.setattr(module, "update", update_and_signal)


def _contents(directory, *without):
    """Returns the files by name, but those of Orbax, which contain times."""
    paths = [path for path in directory.rglob("*") if path.is_file()]
    names = {path.relative_to(directory).as_posix(): path.read_bytes() for path in paths}
    return {name: data for name, data in names.items() if "arrays/" not in name and not name.startswith(without)}


@pytest.mark.parametrize(
    ("command", "module", "number"),
    [(SCENES, adversarial, signal.SIGINT), (PROBE, probe_training, signal.SIGTERM)],
)
def test_a_signal_saves_and_the_same_command_goes_on(tmp_path, monkeypatch, command, module, number):
    whole = run(*command, f"--workdir={tmp_path / 'whole'}")
    assert whole.returncode == 0, whole.stderr
    with monkeypatch.context() as patch:
        _signal_at(patch, module, number, [4])
        stopped = run(*command, f"--workdir={tmp_path / 'work'}")
    assert stopped.returncode == 128 + number
    assert stopped.stderr.splitlines()[-1] == (
        f"stopped; saved in {tmp_path / 'work' / 'state'}; the same command continues from there"
    )
    assert "Traceback" not in stopped.stderr and (tmp_path / "work" / "state" / "4").is_dir()
    calls, update = [], module.update
    monkeypatch.setattr(module, "update", lambda *args, **options: calls.append(1) or update(*args, **options))
    again = run(*command, f"--workdir={tmp_path / 'work'}")
    assert again.returncode == 0 and len(calls) == 6, again.stderr
    found, expected = (_contents(tmp_path / name, "state", "run.flags") for name in ("work", "whole"))
    assert found == expected and len(found) >= 4  # checksums of the weights among them


def test_a_second_signal_ends_at_once(tmp_path, monkeypatch):
    _signal_at(monkeypatch, adversarial, signal.SIGINT, [3], times=2)
    stopped = run(*SCENES, f"--workdir={tmp_path}")
    assert stopped.returncode == 130 and "Traceback" not in stopped.stderr
    assert stopped.stderr.splitlines()[-1] == "stopped at once; states that were saved before are intact"
    assert not any(path.name.isdecimal() for path in (tmp_path / "state").iterdir())


@pytest.fixture(scope="module")
def stopped_once(tmp_path_factory):
    directory = tmp_path_factory.mktemp("stopped")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(devices, "use_cpu_devices", lambda count: None)
        _signal_at(patch, adversarial, signal.SIGTERM, [4])
        assert run(*SCENES, f"--workdir={directory}").returncode == 143
    return directory


@pytest.fixture
def stopped(stopped_once, tmp_path):
    """The work directory of a stopped training."""
    return pathlib.Path(shutil.copytree(stopped_once, tmp_path / "work"))


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        ("--seed=1", "holds an unfinished run with 0 for --seed, this run has 1; repeat its flags"),
        ("--learning_rate=0.001", "holds an unfinished run with 0.0025 for --learning_rate, this run has 0.001"),
        ("--channels=3", "for --channels, this run has ['3']"),
    ],
)
def test_another_training_is_refused_and_nothing_changes(stopped, flag, message):
    before = _contents(stopped)
    result = run(*SCENES, flag, f"--workdir={stopped}")
    assert result.returncode == 1 and len(result.stderr.splitlines()) == 1 and message in result.stderr
    assert _contents(stopped) == before


def test_a_longer_training_continues_the_shorter_one(stopped):
    with open(stopped / "metrics.jsonl", "a") as file:
        file.write('{"images": 1')  # of a killed run
    result = run(*SCENES, "--num_images=20", "--save_every=9", f"--workdir={stopped}")
    assert result.returncode == 0, result.stderr
    assert "--num_images=20" in (stopped / "run.flags").read_text().splitlines()
    assert [json.loads(line)["images"] for line in (stopped / "metrics.jsonl").read_text().splitlines()] == [4]


def test_states_without_a_record_of_their_flags_are_resumed(tmp_path):
    """Earlier versions wrote none. And a record without states binds nobody."""
    (tmp_path / "state" / "4").mkdir(parents=True)
    trainings.check(tmp_path, {"seed": 0})
    trainings.begin(tmp_path, {"seed": 0}, "--seed=0\n")
    with pytest.raises(InputError, match="with 0 for --seed"):
        trainings.check(tmp_path, {"seed": 1})
    (tmp_path / "state" / "4").rmdir()
    trainings.check(tmp_path, {"seed": 1})


@pytest.mark.parametrize(
    ("data", "message"),
    [(b"{", "training.json: damaged: "), (b'{"seed": 0, "checksum": "1"}', "differs from its checksum; remove it to")],
)
def test_a_damaged_record_is_one_line(stopped, data, message):
    (stopped / "state" / "training.json").write_bytes(data)
    result = run(*SCENES, f"--workdir={stopped}")
    assert result.returncode == 1 and len(result.stderr.splitlines()) == 1 and message in result.stderr


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b'{"images": 4}\n{"ima\n{"images": 9}\n', "metrics.jsonl: line 2 is damaged: "),
        (b'\xff\xfe\n{"images": 9}\n', "metrics.jsonl: line 1 is damaged: "),
        (b"[]\n", "metrics.jsonl: line 1 is damaged: "),
        (b"[" * 100_000 + b"\n", "metrics.jsonl: line 1 is damaged: "),
        (b'{"images": null}\n', "metrics.jsonl: line 1 is damaged: images is None"),
    ],
)
def test_damaged_metrics_are_one_line(tmp_path, data, message):
    (tmp_path / "metrics.jsonl").write_bytes(data)
    with pytest.raises(InputError, match=message) as caught:
        trainings.forget_metrics_after(tmp_path, 4)
    assert str(caught.value).isprintable() and (tmp_path / "metrics.jsonl").read_bytes() == data


@pytest.mark.parametrize("command", [SCENES, PROBE])
def test_a_claimed_directory_and_a_directory_as_a_file_are_refused(tmp_path, command):
    with outputs.claim(tmp_path):
        result = run(*command, f"--workdir={tmp_path}")
    assert result.stderr == f"error: --workdir={tmp_path}: another run is writing there; name another directory\n"
    (tmp_path / "run.flags").mkdir()
    result = run(*command, f"--workdir={tmp_path}")
    assert result.stderr == f"error: {tmp_path / 'run.flags'}: is a directory; move it, or name another --workdir\n"
    assert {path.name for path in tmp_path.iterdir()} == {"run.flags"}
