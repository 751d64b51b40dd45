"""experiments.explore as a person starts it: the link, own files, mistakes, and its
end.
"""

import http.client
import importlib.util
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys

import numpy as np
import pytest

import experiments.explorer
from ganspace_jax.generators import zoo
from ganspace_jax.sampling import latents
from tests.commands import run
from tests.experiments.explorer.conftest import make_components

needs_server = pytest.mark.skipif(
    importlib.util.find_spec("starlette") is None, reason="starlette and uvicorn are in requirements-explore.txt"
)

ROOT = pathlib.Path(__file__).parents[2]


@pytest.fixture(scope="module")
def components(tmp_path_factory):
    return make_components(tmp_path_factory.mktemp("files") / "components.npz")


def _started(*arguments):
    """Returns a started explorer and the lines that it printed until the link."""
    command = [sys.executable, "-m", "experiments.explore", *map(str, arguments)]
    environment = {name: value for name, value in os.environ.items() if name != "XLA_FLAGS"}
    process = subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    lines = []
    for line in process.stdout:
        lines.append(line)
        if line.startswith("open "):
            break
    return process, lines


def _ask(port, **entries):
    host = f"127.0.0.1:{port}"
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    headers = {"Content-Type": "application/json", "Origin": f"http://{host}"}
    connection.request("POST", "/api/message", json.dumps(entries), headers)
    line = connection.getresponse().read().partition(b"\n")[0]
    connection.close()
    return json.loads(line)


@needs_server
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_it_opens_a_page_of_all_files_and_ends_cleanly(tmp_path, components, number, status):
    generator = zoo.load("stylegan2-scenes")
    np.save(tmp_path / "smile_w_boundary.npy", np.ones((1, 64), np.float32))
    np.save(tmp_path / "me.npy", np.asarray(latents.layer_latents(generator, [3]))[0])
    process, lines = _started(
        f"--components={components}", f"--components={tmp_path / 'smile_w_boundary.npy'}",
        f"--latents={tmp_path / 'me.npy'}", f"--workdir={tmp_path / 'work'}",
    )  # fmt: skip
    try:
        assert lines[-1].startswith("open http://127.0.0.1:"), process.communicate()[1]
        port = int(re.search(r":(\d+)/", lines[-1])[1])
        about = _ask(port, id=1, kind="about")
        assert [group["key"] for group in about["groups"]] == ["components", "named", "random"]
        assert about["groups"][1]["sliders"][0]["name"] == "smile_w_boundary" and about["pictures"] == ["me"]
        own = _ask(port, id=2, kind="picture", state={"starts": [{"picture": "me"}]})
        assert own["width"] == 32 and own["compiled"] is False
        _ask(port, id=3, kind="keep", state={}, name="first")
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == status and "Traceback" not in err + out
    assert err.strip().splitlines()[-1].startswith("stopped; what was kept, saved or exported is in")
    assert (tmp_path / "work" / "kept" / "first.json").exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["me.npy", "smile_w_boundary.npy", "work"]


@needs_server
@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--port=70000"], "--port"),
        (["--components=missing.npz"], "missing.npz"),
        (["--generator=stylegan3-scenes"], "stylegan3-scenes"),
        (["--host=no.such.host.invalid"], "--host=no.such.host.invalid: no such address"),
        (["--latents=missing.npy"], "--latents=missing.npy: no such file"),
        (["--workdir="], "--workdir="),
    ],
)
def test_a_mistake_is_one_line(tmp_path, components, arguments, told):
    given = [f"--components={components}", f"--workdir={tmp_path / 'work'}"]
    names = [argument.partition("=")[0] for argument in arguments]
    result = run("explore", *(one for one in given if one.partition("=")[0] not in names), *arguments)
    assert result.returncode == 1 and told in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1 and "Traceback" not in result.stderr
    assert not (tmp_path / "work").exists()


@needs_server
def test_a_busy_port_is_one_line(tmp_path, components):
    with socket.create_server(("127.0.0.1", 0)) as busy:
        port = busy.getsockname()[1]
        result = run("explore", f"--components={components}", f"--workdir={tmp_path / 'work'}", f"--port={port}")
    assert result.returncode == 1
    assert f"--port={port}: Address already in use" in result.stderr and len(result.stderr.strip().splitlines()) == 1


@needs_server
def test_two_explorers_do_not_share_a_workdir(tmp_path, components):
    from ganspace_jax.files import outputs

    with outputs.claim(tmp_path):
        result = run("explore", f"--components={components}", f"--workdir={tmp_path}")
    assert result.returncode == 1 and "another run is writing there" in result.stderr


def test_missing_packages_are_one_line(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    monkeypatch.delitem(sys.modules, "experiments.explorer.server", raising=False)
    monkeypatch.delattr(experiments.explorer, "server", raising=False)
    result = run("explore", f"--workdir={tmp_path / 'work'}")
    assert result.returncode == 1 and not (tmp_path / "work").exists()
    assert re.fullmatch(
        r"error: (uvicorn|starlette) is not installed: pip install -r requirements-explore.txt", result.stderr.strip()
    )
