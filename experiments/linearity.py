"""How linear each layer is in z: what the least-squares directions of its components can be trusted for.

    python -m experiments.linearity --flagfile=experiments/flags/linearity_biggan_deep_scenes.flags

Decomposes one layer after the other. Writes into workdir: linearity.json, linearity.md (a table of r2, the share of a
component's variance that is linear in z), and run.flags.
"""

import json
import sys

import numpy as np
from absl import app, flags, logging
from tqdm import tqdm

from ganspace_jax.directions import components
from ganspace_jax.errors import one_line_errors
from ganspace_jax.files import outputs
from ganspace_jax.generators import zoo
from ganspace_jax.methods import decomposition
from ganspace_jax.sampling import latents

FLAGS = flags.FLAGS
flags.DEFINE_string("generator", "biggan-deep-scenes", f"Zoo name ({', '.join(zoo.ZOO)}) or checkpoint directory.")
flags.DEFINE_list("layers", None, "Layers, in the order of the table.", required=True)
flags.DEFINE_integer("num_samples", 10_000, "Random samples.")
flags.DEFINE_integer("num_components", 20, "Components of each layer.")
flags.DEFINE_integer("batch_size", None, "Samples a step; see experiments.decompose.")
flags.DEFINE_integer("seed", 0, "Seed of the samples.", lower_bound=0)
flags.DEFINE_string("label", None, "For conditional generators: class name or index, or all.")
flags.DEFINE_float("truncation_psi", 1.0, "Truncation of the samples.")
flags.DEFINE_float("memory_budget_gb", 4.0, "See experiments.decompose.", lower_bound=0.0)
flags.DEFINE_string("workdir", None, "Directory to write into.", required=True)

_SHOWN = 5


def main(_):
    """One table."""
    with outputs.outputs(FLAGS.workdir) as directory:
        generator = zoo.load(FLAGS.generator)
        module = generator.merge()
        label = latents.parse_label(FLAGS.label, module.class_names, module.num_classes)
        found = [_decompose(generator, layer, label) for layer in FLAGS.layers]
        text = _table(found)
        (directory / "linearity.md").write_text(text + "\n")
        report = json.dumps([components.summary(one) for one in found], indent=2)
        (directory / "linearity.json").write_text(report + "\n")
        (directory / "run.flags").write_text(outputs.flagfile(FLAGS.get_key_flags_for_module(sys.argv[0])))
    print(text)


def _decompose(generator, layer, label):
    with tqdm(total=max(FLAGS.num_samples, 0), unit="sample", unit_scale=True, desc=layer) as bar:
        return decomposition.decompose(
            generator,
            layer=layer,
            latent_space="z",
            num_samples=FLAGS.num_samples,
            num_components=FLAGS.num_components,
            batch_size=FLAGS.batch_size,
            seed=FLAGS.seed,
            label=label,
            truncation_psi=FLAGS.truncation_psi,
            memory_budget_gb=FLAGS.memory_budget_gb,
            name=FLAGS.generator,
            on_progress=bar.update,
            on_sweep=lambda sweeps, error: bar.reset(),
        )


def _table(found):
    shown = min(_SHOWN, FLAGS.num_components)
    head = [
        *(f"v{k}" for k in range(shown)),
        f"first {FLAGS.num_components}, by variance",
        "their share of the variance",
    ]
    lines = ["| layer | dimensions | " + " | ".join(head) + " |", "| --- " * (len(head) + 2) + "|"]
    for one in found:
        weighted = np.sum(one.r2 * one.variance_ratio) / np.sum(one.variance_ratio)
        cells = [*(f"{r2:.3f}" for r2 in one.r2[:shown]), f"{weighted:.3f}", f"{np.sum(one.variance_ratio):.0%}"]
        lines.append(f"| {one.source.layer} | {one.activation_mean.size:,} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    logging.set_verbosity(logging.WARNING)
    app.run(one_line_errors(main))
