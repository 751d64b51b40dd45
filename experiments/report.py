r"""Answers the papers' claims with numbers, and writes one page that holds them all.

    python -m experiments.report --workdir=runs/report
    python -m experiments.report --claims=layer_ranges --workdir=runs/report
    python -m experiments.report --flagfile=experiments/flags/report.flags

Needs jinja2: pip install -r requirements-report.txt. Writes into workdir: report.html,
a page that needs no other file and no network; report.md with the same answers; and
run.flags. findings/ keeps the numbers and pictures of finished claims. So the same
command continues a run that was stopped, and another --claims computes only what is
missing.
"""

import functools
import json
import pathlib

import numpy as np
from absl import flags
from PIL import Image

from ganspace_jax import command_line, shared_flags
from ganspace_jax.claims import (
    all_methods,
    class_transfer,
    component_order,
    entanglement,
    findings,
    layer_ranges,
    limited_data,
    linear_regression,
    other_spaces,
    shifted_images,
    source_dependence,
    subjects,
    usable_range,
    wanted_semantics,
)
from ganspace_jax.errors import InputError, nearest
from ganspace_jax.files import outputs, pictures, reports, tables
from ganspace_jax.run import Progress, Run

FLAGS = flags.FLAGS
CLAIMS = {
    "component_order": component_order.find,
    "class_transfer": class_transfer.find,
    "limited_data": limited_data.find,
    "layer_ranges": layer_ranges.find,
    "source_dependence": source_dependence.find,
    "usable_range": usable_range.find,
    "entanglement": entanglement.find,
    "other_spaces": other_spaces.find,
    "wanted_semantics": wanted_semantics.find,
    "linear_regression": linear_regression.find,
    "all_methods": all_methods.find,
    "shifted_images": shifted_images.find,
}
flags.DEFINE_list("claims", [], "Claims to test, such as layer_ranges; by default all of them.")
flags.DEFINE_integer("num_images", 256, "Images per measurement.", lower_bound=8, upper_bound=100_000)
shared_flags.define("seed", "workdir")

TITLE = "How far can directions of a GAN be trusted?"
_INTRODUCTION = (
    "Claims of GANSpace (Härkönen et al. 2020) and open questions about it, tested on two generators whose factors of "
    "variation are known: stylegan2-scenes and biggan-deep-scenes. Intervals are 95 %, by a bootstrap over images."
)


def main():
    """Tests the claims one by one, then writes the page."""
    names = FLAGS.claims or list(CLAIMS)
    for name in names:
        if name not in CLAIMS:
            raise InputError(f"--claims={name}: no such claim; {nearest(name, CLAIMS)}there are {', '.join(CLAIMS)}")
    found = {}
    with (
        command_line.outputs() as directory,
        command_line.stop_on_signals() as should_stop,
        command_line.progress_bar("report") as report,
    ):
        run = Run(should_stop=should_stop)
        load = functools.cache(lambda: subjects.load(seed=FLAGS.seed, run=run))
        for number, name in enumerate(names):
            report(Progress(number, len(names), "claim", name))
            found[name] = _finding(name, load, run)
        report(Progress(len(names), len(names), "claim"))
        page = reports.html(TITLE, _INTRODUCTION, [_section(name, one) for name, one in found.items()])
        (directory / "report.html").write_text(page)
        (directory / "report.md").write_text(_words(found))
    print(_words(found))
    print(f"written: {pathlib.Path(FLAGS.workdir) / 'report.html'}")


def _finding(name, load, run):
    """Returns the finding of a claim, from its files if they have the same settings."""
    directory = pathlib.Path(FLAGS.workdir) / "findings"
    about = command_line.settings(leave_out=("workdir", "claims"))
    saved = _saved(directory / f"{name}.json")
    if saved is not None and saved["about"] == about:
        images = [np.asarray(Image.open(directory / f"{name}_{k}.png")) for k in range(len(saved["captions"]))]
        return findings.from_json(saved, images)
    found = CLAIMS[name](load(), num_images=FLAGS.num_images, seed=FLAGS.seed, run=run)
    with outputs.outputs(directory) as scratch:
        for k, pixels in enumerate(found.pictures.values()):
            pictures.save_png(scratch / f"{name}_{k}.png", pixels)
        text = json.dumps({"about": about, **findings.to_json(found)}, indent=2)
        (scratch / f"{name}.json").write_text(text + "\n")
    return found


def _saved(path):
    try:
        return json.loads(path.read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        return None


def _section(name, finding):
    command = f"python -m experiments.report --claims={name} --num_images={FLAGS.num_images} --seed={FLAGS.seed}"
    return reports.Section(
        name, finding.question, finding.verdict, finding.answer,
        [(one.name, findings.text(one)) for one in finding.figures],
        [tuple(one) for one in finding.tables], finding.pictures, f"{command} --workdir=runs/report",
    )  # fmt: skip


def _words(found):
    """Returns all answers as Markdown."""
    parts = []
    for one in found.values():
        figures = [f"- {figure.name}: {findings.text(figure)}" for figure in one.figures]
        more = [f"\n{table.title}:\n\n{tables.markdown(table.header, table.rows)}" for table in one.tables]
        parts.append("\n".join([f"## {one.question}", "", f"{one.verdict}: {one.answer}", "", *figures, *more]))
    return "\n\n".join(parts) + "\n"


if __name__ == "__main__":
    command_line.start(main, needs=("workdir",))
