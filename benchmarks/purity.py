"""Measures how pure the best direction of each method is, on stylegan2-scenes.

    python -m benchmarks.purity        # three minutes

Each method has 64 candidates in w. For each factor that is not circular, the best one
is chosen by signed purity of Jacobians at 256 images. Real steps of one standard
deviation, both ways, measure it in 256 other images. The table has means over the
factors, with 95 % bootstrap intervals over images, and one seed. Below it are the mean
angles between the local bases of w at two points.
"""

import numpy as np

from ganspace_jax.files import tables
from ganspace_jax.generators import zoo
from ganspace_jax.measures import layer_search, purity
from ganspace_jax.methods import attributes, direction_spec, finding, local_basis
from ganspace_jax.methods.direction_spec import DirectionSpec
from ganspace_jax.sampling import random_samples, score_jacobians
from ganspace_jax.scenes import probe
from ganspace_jax.statistics import bootstrap

_NUM_IMAGES = 256
_SPECS = {
    "image_jacobian": {},
    "sefa, all layers": {"method": "sefa"},
    "sefa, layers 0-1": {"method": "sefa", "moved_layers": "0-1"},
    "ica, mixing": {"method": "ica"},
    "ica, unmixing": {"method": "ica", "vectors": "unmixing"},
    "sparse_pca, sparsity 0.1": {"method": "sparse_pca", "sparsity": 0.1},
    "local_basis of w": {"method": "local_basis"},
    "pca": {"method": "pca"},
    "random": {"method": "random"},
}


def main() -> None:
    """Prints the table."""
    generator, scorer = zoo.load("stylegan2-scenes"), probe.scorer(probe.load(probe.SHIPPED))
    assert scorer.differentiable is not None
    num_layers, width = generator.latent_shape
    judged = random_samples.draw(generator, 0, _NUM_IMAGES, seed=10)
    jacobians = score_jacobians.measure(generator, scorer.differentiable, judged.layers).jacobians
    jacobians = score_jacobians.clip(jacobians / scorer.scales[:, None, None])
    is_category = np.isin(scorer.names, scorer.categories)
    jacobians[:, is_category] = 0.0  # categories have no effect in standard deviations
    wanted = [k for k, period in enumerate(scorer.periods) if period is None and not is_category[k]]
    at = random_samples.draw(generator, 0, _NUM_IMAGES, seed=11)
    rows = []
    for name, options in _SPECS.items():
        found = finding.find(generator, DirectionSpec(num_components=width, **options))
        directions = found.latent_components * found.latent_stdevs[:, None]
        layers = (found.named[0].layers if found.named else None) or (0, num_layers)
        by_layer = attributes.layer_rows(directions.astype(np.float64), layers, num_layers, width)
        effects = layer_search.effects(jacobians, by_layer, [(0, num_layers)])
        best = [layer_search.best_by_range(effects, [(0, num_layers)], k)[0].candidate for k in wanted]
        changes = np.stack([purity.measure(generator, scorer, (at.layers, None), by_layer[k]) for k in best], axis=1)
        rows.append([name, *_figures(changes, wanted, is_category)])
    print(tables.markdown(["method", "slope", "purity", "signed purity", "flips"], rows))
    spec = direction_spec.resolve(DirectionSpec(method="local_basis"), generator)
    bases = local_basis.measure(generator, spec)
    for count in (1, 5, 20):
        angles = local_basis.angles_between_points(bases, count)
        print(f"local bases of {count}: {angles[np.triu_indices(len(angles), 1)].mean():.0f} degrees between points")


def _figures(changes: np.ndarray, wanted: list[int], is_category: np.ndarray) -> list[str]:
    """Returns means over factors of changes [n, wanted, scores], with intervals."""

    def means(sampled: np.ndarray) -> np.ndarray:
        filled = np.nan_to_num(sampled)
        mean, square = filled.mean(0), np.square(filled).mean(0)
        own, total = np.arange(len(wanted)), square[:, ~is_category].sum(1)
        figures = (
            np.abs(mean[own, wanted]), square[own, wanted] / total, mean[own, wanted] ** 2 / total,
            mean[:, is_category].max(1),
        )  # fmt: skip
        return np.mean(figures, axis=1)

    low, high = bootstrap.percentile_interval(means, [changes], num_resamples=500, seed=0)
    return [f"{value:.2f} ({a:.2f}-{b:.2f})" for value, a, b in zip(means(changes), low, high, strict=True)]


if __name__ == "__main__":
    main()
