"""Spectral normalisation (Miyato et al., ICLR 2018) as a function of parameters.

Each weight becomes W / sigma(W), with sigma = v^T W u after one power iteration per
step:

    v = W u / |W u|, u = W^T v / |W^T v|

Modules store plain weights. Training divides the weights before each forward pass.
The weights of a shipped network are divided once.
"""

from typing import Any

import jax
import jax.numpy as jnp

from ganspace_jax.shapes import Array, Float, PRNGKey

Vectors = dict[str, Array]  # singular vector u of each normalised weight, by the weight's path
_EPSILON = 1e-12


def init(params: Any, key: PRNGKey, skip: tuple[str, ...] = ("embeddings",)) -> Vectors:
    """Returns random unit vectors for every matrix or kernel named `weight`.

    Args:
        skip: names of modules with weights that are not normalised.
    """
    vectors = {}
    for path, leaf in jax.tree_util.tree_leaves_with_path(params):
        name = jax.tree_util.keystr(path)
        if "'weight'" in name and leaf.ndim >= 2 and not any(f"'{part}'" in name for part in skip):
            vectors[name] = _unit(jax.random.normal(jax.random.fold_in(key, len(vectors)), leaf.shape[-1:]))
    return vectors


def normalize(params: Any, vectors: Vectors, num_iterations: int = 1) -> tuple[Any, Vectors]:
    """Divides each weight in `vectors` by its largest singular value.

    The power iteration estimates this value. Gradients flow through both occurrences of
    W, but not through the vectors. Returns the divided parameters and the new vectors.
    """
    leaves, structure = jax.tree_util.tree_flatten_with_path(params)
    divided, moved = [], dict(vectors)
    for path, leaf in leaves:
        name = jax.tree_util.keystr(path)
        if name in vectors:
            matrix = leaf.reshape(-1, leaf.shape[-1])
            u, v = _iterate(jax.lax.stop_gradient(matrix), vectors[name], num_iterations)
            moved[name] = u
            leaf = leaf / (v @ matrix @ u)
        divided.append(leaf)
    return jax.tree.unflatten(structure, divided), moved


def _iterate(matrix: Float[Array, "i o"], u: Float[Array, "o"], num_iterations: int) -> tuple[Array, Array]:
    v = _unit(matrix @ u)
    for _ in range(num_iterations):
        v = _unit(matrix @ u)
        u = _unit(matrix.T @ v)
    return u, v


def _unit(x: Array) -> Array:
    return x / (jnp.linalg.norm(x) + _EPSILON)
