"""ICA and sparse PCA find what was planted, and agree with scikit-learn.

golden/scikit_learn_components.npz has samples and scikit-learn 1.9.1's
FastICA(3, fun="logcosh", tol=1e-10, max_iter=2000).mixing_.T and
SparsePCA(3, alpha=2, method="cd", tol=1e-12, max_iter=5000).components_, which began at
the singular vectors.
"""

import jax.numpy as jnp
import numpy as np
import pytest

from ganspace_jax.errors import InputError
from ganspace_jax.methods import finding, ica, sparse_pca
from ganspace_jax.methods.direction_spec import DirectionSpec
from tests import golden_arrays, toy_generators


@pytest.fixture(scope="module")
def golden():
    with np.load(golden_arrays.GOLDEN / "scikit_learn_components.npz") as file:
        return {name: file[name].astype(np.float64) for name in file.files}


@pytest.fixture(scope="module")
def toy():
    return toy_generators.linear()


def mixing(samples):
    """Returns the mixing vectors that our rotation finds, as rows."""
    centred = samples - samples.mean(0)
    values, vectors = np.linalg.eigh(np.cov(centred, rowvar=False, bias=True))
    whitening = vectors / np.sqrt(values)
    size = len(values)
    found = ica.rotation(jnp.asarray(centred @ whitening, jnp.float32), jnp.eye(size))
    assert found.num_steps < ica.MOST_STEPS
    return np.asarray(found.matrix, np.float64) @ (vectors * np.sqrt(values)).T


def matched(rows, wanted):
    """Returns each wanted row's largest |cosine| with a row."""
    a, b = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (rows, wanted))
    return np.abs(b @ a.T).max(1)


def test_independent_sources_are_separated():
    random = np.random.default_rng(1)
    sources = np.stack([random.uniform(-1, 1, 4000), random.laplace(size=4000), random.exponential(size=4000)], 1)
    planted = random.normal(size=(3, 3))
    rows = mixing(sources @ planted)
    assert (matched(rows, planted) > 0.995).all()
    principal = np.linalg.svd(np.cov(sources @ planted, rowvar=False))[2]
    assert matched(principal, planted).min() < 0.98


def test_ica_agrees_with_scikit_learn(golden):
    np.testing.assert_allclose(matched(mixing(golden["ica_samples"]), golden["ica_mixing"]), 1.0, atol=1e-5)


def test_sparse_pca_agrees_with_scikit_learn(golden):
    rows = sparse_pca.fit(golden["sparse_samples"], 3, np.full(3, 2.0))
    wanted = golden["sparse_components"]
    np.testing.assert_allclose(matched(rows, wanted), 1.0, atol=1e-4)
    assert ((np.abs(rows).max(0) == 0) == (np.abs(wanted).max(0) == 0)).all()


def test_the_covariance_alone_decides():
    random = np.random.default_rng(2)
    samples = random.normal(size=(50, 8)) * np.linspace(3, 1, 8)
    turned = np.linalg.qr(random.normal(size=(50, 50)))[0] @ samples
    first, second = (sparse_pca.fit(x, 3, np.full(3, 4.0)) for x in (samples, turned))
    np.testing.assert_allclose(matched(first, second), 1.0, atol=1e-6)


def test_sparse_loadings_are_found():
    random = np.random.default_rng(3)
    planted = np.zeros((2, 10))
    planted[0, :3], planted[1, 5:9] = 1.0, 0.5
    codes = random.normal(size=(400, 2)) @ [[1.0, 0.0], [0.3, 1.0]]
    samples = codes @ planted + 0.05 * random.normal(size=(400, 10))
    rows = sparse_pca.fit(samples / 20, 2, np.full(2, 0.1))
    assert (matched(rows, planted) > 0.99).all()
    assert sorted(map(tuple, np.abs(rows) > 0)) == sorted(map(tuple, planted > 0))
    assert not (np.linalg.svd(samples)[2][:2] == 0).any()


def test_components_of_the_latent_and_of_a_layer(toy):
    """The toy's w is normal, so its sparse components tend to the principal ones."""
    spec = DirectionSpec(method="sparse_pca", num_components=3, num_samples=2000, sparsity=0.0)
    found = finding.find(toy, spec, name="toy")
    principal = finding.find(toy, DirectionSpec(method="pca", num_components=3, num_samples=2000))
    np.testing.assert_allclose(found.latent_components, principal.latent_components, atol=1e-3)
    np.testing.assert_allclose(found.variance_ratio, principal.variance_ratio, rtol=1e-3)
    in_layer = finding.find(toy, DirectionSpec(**{**vars(spec), "layer": "features"}))
    assert in_layer.activation_components.shape == (3, 16) and in_layer.latent_components.shape == (3, 5)
    change = in_layer.latent_components @ toy_generators.matrices(toy).sum(0).T
    change /= np.linalg.norm(change, axis=1, keepdims=True)
    assert (np.sum(change * in_layer.activation_components, axis=1) > 0.9).all()


def test_too_large_a_sparsity_is_refused(toy):
    with pytest.raises(InputError, match="--sparsity=50"):
        finding.find(toy, DirectionSpec(method="sparse_pca", num_components=3, num_samples=500, sparsity=50.0))
