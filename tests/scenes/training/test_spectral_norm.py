"""Spectral norm: the largest singular value, its gradient, and which arrays
it is for.
"""

import jax
import jax.numpy as jnp
import numpy as np

from ganspace_jax.scenes.training import spectral_norm

PARAMS = {
    "a": {"weight": jax.random.normal(jax.random.key(0), (3, 3, 4, 6)), "bias": jnp.ones(6)},
    "embeddings": {"weight": jax.random.normal(jax.random.key(1), (5, 4))},
    "b": {"weight": jax.random.normal(jax.random.key(2), (7, 5))},
}


def _largest(weight):
    return np.linalg.svd(np.asarray(weight, np.float64).reshape(-1, weight.shape[-1]), compute_uv=False)[0]


def test_weights_come_to_norm_one_and_the_rest_stays():
    vectors = spectral_norm.init(PARAMS, jax.random.key(3))
    assert sorted(u.shape for u in vectors.values()) == [(5,), (6,)]
    divided, moved = spectral_norm.normalize(PARAMS, vectors, num_iterations=200)
    for name in ("a", "b"):
        np.testing.assert_allclose(
            divided[name]["weight"] * _largest(PARAMS[name]["weight"]), PARAMS[name]["weight"], rtol=1e-4
        )
    np.testing.assert_array_equal(divided["embeddings"]["weight"], PARAMS["embeddings"]["weight"])
    np.testing.assert_array_equal(divided["a"]["bias"], 1.0)
    again, _ = spectral_norm.normalize(PARAMS, moved)
    np.testing.assert_allclose(again["b"]["weight"], divided["b"]["weight"], rtol=1e-4)


def test_one_iteration_a_step_converges():
    vectors = spectral_norm.init(PARAMS, jax.random.key(3))
    errors = []
    for _ in range(40):
        divided, vectors = spectral_norm.normalize(PARAMS, vectors)
        errors.append(abs(_largest(divided["a"]["weight"]) - 1.0))
    assert errors[-1] < 0.01 < errors[0]


def test_gradient_does_not_see_the_scale():
    """W / sigma(W) does not change with the length of W, so the gradient has no part
    along W.
    """
    _, vectors = spectral_norm.normalize(PARAMS, spectral_norm.init(PARAMS, jax.random.key(3)), num_iterations=200)
    target = jax.random.normal(jax.random.key(4), (7, 5))
    loss = lambda params: jnp.sum(target * spectral_norm.normalize(params, vectors)[0]["b"]["weight"])  # noqa: E731
    gradient = jax.grad(loss)(PARAMS)["b"]["weight"]
    assert np.linalg.norm(gradient) > 0.1
    assert abs(float(jnp.sum(gradient * PARAMS["b"]["weight"]))) < 1e-3


def test_no_vectors_no_change():
    same, none = spectral_norm.normalize(PARAMS, {})
    assert none == {}
    jax.tree.map(np.testing.assert_array_equal, same, PARAMS)
