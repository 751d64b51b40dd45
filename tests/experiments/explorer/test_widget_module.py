"""The page's modules as one, and the notebook's use of it."""

import shutil
import subprocess

import pytest

from experiments.explorer import widget_module
from ganspace_jax.errors import InputError

NODE = shutil.which("node")


def _write(folder, **sources):
    for name, source in sources.items():
        (folder / f"{name}.js").write_text(source)
    return folder


@pytest.mark.skipif(NODE is None, reason="node is not installed")
def test_joined_modules_are_one_module_in_anywidgets_form(tmp_path):
    (tmp_path / "one.mjs").write_text(widget_module.joined())
    code = (
        f"const found = await import('{tmp_path}/one.mjs');"
        "console.log(Object.keys(found).join(), typeof found.default.render)"
    )
    done = subprocess.run([NODE, "--input-type=module", "-e", code], capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("default function\n", "")


@pytest.mark.skipif(NODE is None, reason="node is not installed")
def test_joined_modules_compute_the_same(tmp_path):
    _write(
        tmp_path,
        first='import * as all from "./second.js";\nimport { THREE } from "./third.js";\n'
        'import { four } from "./fourth.js";\nexport default all.twice(THREE) + all.ONE + four() - 4;\n',
        fourth='import * as all from "./second.js";\nexport const four = () => 3 + all.ONE;\n',
        second='import { THREE } from "./third.js";\nexport function twice(x) { return 2 * x + THREE - 3; }\n'
        "export const ONE = 1;\n",
        third="export const THREE = 3;\n",
    )
    (tmp_path / "one.mjs").write_text(widget_module.joined(tmp_path, "first.js"))
    code = f"console.log((await import('{tmp_path}/one.mjs')).default)"
    done = subprocess.run([NODE, "--input-type=module", "-e", code], capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("7\n", "")


def test_all_that_the_widget_needs_is_in_it_and_nothing_comes_from_outside():
    source = widget_module.joined()
    assert "\nimport " not in source and "import(" not in source
    assert "http" not in source and "://" not in source
    assert "http" not in (widget_module.PAGE / widget_module.STYLES).read_text()


def test_circles_and_renamed_imports_are_refused(tmp_path):
    _write(tmp_path, a='import { b } from "./b.js";\n', b='import { a } from "./a.js";\n')
    with pytest.raises(InputError, match="imports itself"):
        widget_module.joined(tmp_path, "a.js")
    _write(tmp_path, c='import { d as e } from "./d.js";\n', d="export const d = 1;\n")
    with pytest.raises(InputError, match="renames"):
        widget_module.joined(tmp_path, "c.js")
