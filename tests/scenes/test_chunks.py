"""Chunks: any number of rows gives the rows of one call, with one shape."""

import numpy as np

from ganspace_jax.scenes.chunks import map_chunks


def test_chunks_have_one_shape_and_do_not_show():
    shapes = set()

    def double(tree):
        shapes.update(x.shape for x in tree.values())
        return {"twice": 2 * tree["x"], "sum": tree["x"] + tree["y"].sum(1)}

    rows = np.random.default_rng(0).standard_normal((300, 3)).astype(np.float32)
    for num_rows in (0, 1, 64, 65, 300):
        x, y = rows[:num_rows, 0], rows[:num_rows, 1:]
        result = map_chunks(double, {"x": x, "y": y}, size=64)
        np.testing.assert_array_equal(result["twice"], 2 * x)
        np.testing.assert_array_equal(result["sum"], x + y.sum(1))
    assert shapes == {(64,), (64, 2)}
