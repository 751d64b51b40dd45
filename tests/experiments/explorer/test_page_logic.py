"""The page's modules that touch no browser, run by node."""

import pathlib
import shutil
import subprocess

import pytest

HERE = pathlib.Path(__file__).parent
PAGE = HERE.parents[2] / "experiments" / "explorer" / "page"
NODE = shutil.which("node")
needs_node = pytest.mark.skipif(NODE is None, reason="node is not installed")


def _modules(folder):
    """Copies the modules to where node reads them as modules, which it tells from a
    package.json.
    """
    shutil.copytree(PAGE, folder / "page")
    (folder / "page" / "package.json").write_text('{"type": "module"}')
    return folder / "page"


@needs_node
def test_the_logic_of_the_page(tmp_path):
    done = subprocess.run(
        [NODE, "--test", "--test-reporter=tap", HERE / "page_logic.test.mjs"],
        env={"PAGE": str(_modules(tmp_path))}, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "# fail 0" in done.stdout and "# pass 0" not in done.stdout
