"""Affine layers: what is read off the weights is what sampling tends to."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ganspace_jax.errors import InputError
from ganspace_jax.generators import base, biggan_deep, dcgan, stylegan2
from ganspace_jax.methods.estimators import analytic
from ganspace_jax.sampling.layers import LayerSpec
from ganspace_jax.statistics import pca
from tests import calls


@pytest.fixture(scope="module")
def biggan():
    """gen_z's z block has singular values that are well apart."""
    config = biggan_deep.Config(5, 3, 4, ((False, 2, 2),), attention_position=-1, embed_width=2, num_statistics=3)
    generator = base.split(biggan_deep.BigGANDeep(config, key=jax.random.key(0)))
    weight = generator.params["gen_z"]["weight"] * jnp.array([5.0, 4.0, 3.0, 2.0, 1.0, 6.0, 2.0])[:, None]
    return generator._replace(params={**generator.params, "gen_z": {**generator.params["gen_z"], "weight": weight}})


def test_the_factor_is_the_weights_z_block(biggan):
    layer = analytic.read(biggan, LayerSpec("gen_z", "z", 1))
    weight, bias = (np.asarray(biggan.params["gen_z"][name], np.float64) for name in ("weight", "bias"))
    embedding = np.asarray(biggan.params["embeddings"]["weight"], np.float64)
    np.testing.assert_allclose(layer.slopes, weight[:5].T, atol=1e-5)
    np.testing.assert_allclose(layer.offsets[0], embedding[1] @ weight[5:] + bias, atol=1e-5)


def test_components_are_the_singular_vectors(biggan):
    """Variances are 0.7737 psi^2 times the squared singular values, directions their
    right vectors, r2 is 1.
    """
    found = calls.decompose(
        biggan, layer="gen_z", latent_space="z", num_components=5, label=0, truncation_psi=0.5, estimator="analytic"
    )
    left, values, right = np.linalg.svd(np.asarray(biggan.params["gen_z"]["weight"], np.float64)[:5].T)
    np.testing.assert_allclose(np.square(found.activation_stdevs), 0.7737413 * 0.25 * values**2, rtol=1e-4)
    np.testing.assert_allclose(np.abs(found.activation_components @ left[:, :5]), np.eye(5), atol=1e-4)
    np.testing.assert_allclose(np.abs(found.latent_components @ right.T), np.eye(5), atol=1e-4)
    np.testing.assert_allclose(found.r2, 1.0, atol=1e-5)
    np.testing.assert_array_equal(found.stability, 0.0)


@pytest.mark.parametrize("label", [2, "all"])
def test_sampling_tends_to_it_as_one_over_the_root(biggan, label):
    """16 times the samples, a quarter of the difference of the subspaces and of the
    means.
    """
    settings = {"layer": "gen_z", "latent_space": "z", "num_components": 3, "label": label}
    limit = calls.decompose(biggan, estimator="analytic", **settings)

    def differences(num_samples):
        runs = [
            calls.decompose(biggan, num_samples=num_samples, batch_size=2000, seed=seed, estimator="exact", **settings)
            for seed in range(6)
        ]
        flat = [(run.activation_components, limit.activation_components) for run in runs]
        subspace = [np.linalg.norm(b - (b @ a.T) @ a, ord=2) for a, b in flat]
        mean = [np.linalg.norm(run.activation_mean - limit.activation_mean) for run in runs]
        return np.sqrt(np.mean(np.square(subspace))), np.sqrt(np.mean(np.square(mean)))

    few, many = differences(500), differences(8000)
    for coarse, fine in zip(few, many, strict=True):
        assert 0.15 < fine / coarse < 0.45
    assert many[0] < 0.06


def test_its_other_figures_agree_with_sampling(biggan):
    settings = {"layer": "gen_z", "latent_space": "z", "num_components": 4, "label": "all"}
    limit = calls.decompose(biggan, estimator="analytic", **settings)
    sampled = calls.decompose(biggan, num_samples=40_000, batch_size=4000, estimator="exact", **settings)
    for name in ("activation_stdevs", "variance_ratio", "random_stdevs", "r2"):
        np.testing.assert_allclose(getattr(sampled, name), getattr(limit, name), rtol=0.05, atol=0.01, err_msg=name)
    assert 0.0 < limit.r2.min() < 0.9  # the classes' embeddings add what no latent explains


def test_dcgans_first_layers_are_affine():
    generator = base.split(dcgan.DCGAN(dcgan.Config(4, (6, 3)), key=jax.random.key(0)))
    for layer in ("main.0", "main.1"):
        found = calls.decompose(generator, layer=layer, latent_space="z", num_components=4, estimator="analytic")
        np.testing.assert_allclose(found.variance_ratio.sum(), 1.0, rtol=1e-5)


def test_layers_that_are_not_affine_are_refused(biggan):
    with pytest.raises(InputError, match="--estimator=analytic: layer layers.0.conv_0 is not an affine function"):
        analytic.read(biggan, LayerSpec("layers.0.conv_0", "z", 0))
    style = base.split(stylegan2.StyleGAN2(stylegan2.Config(3, 4, (4, 2), mapping_layers=1), key=jax.random.key(0)))
    for layer in ("w", "b4.conv1"):
        with pytest.raises(InputError, match="--estimator=analytic: .* is not an affine function of z"):
            analytic.read(style, LayerSpec(layer, "z"))


def test_components_beyond_the_rank_complete_a_basis():
    factor = np.random.default_rng(0).standard_normal((7, 2))
    found = pca.from_factor(factor, 5)
    np.testing.assert_allclose(found.directions @ found.directions.T, np.eye(5), atol=1e-12)
    np.testing.assert_allclose(found.variances[2:], 0.0, atol=1e-12)
    whole = pca.exact(factor @ factor.T, 2)
    np.testing.assert_allclose(found.variances[:2], whole.variances, rtol=1e-10)
    np.testing.assert_allclose(found.directions[:2], whole.directions, atol=1e-8)
    assert found.total_variance == pytest.approx(whole.total_variance)


def test_a_layer_of_low_rank_needs_little_more_than_one_sweep(biggan):
    """The share that the randomized estimator begins with shows the whole subspace;
    from a random block it would be two.
    """
    reports = []
    settings = dict(layer="gen_z", latent_space="z", num_samples=3001, num_components=3, label=1)
    found = calls.decompose(biggan, estimator="randomized", report=reports.append, **settings)
    exact = calls.decompose(biggan, estimator="exact", **settings)
    whole_sweeps = {report.note for report in reports if report.done == 3001 and report.note.startswith("sweep")}
    assert len(whole_sweeps) == 1 and max(report.done for report in reports if report.done < 2000) < 3001
    np.testing.assert_allclose(found.activation_components, exact.activation_components, atol=1e-4)
