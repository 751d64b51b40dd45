"""The cosine of an error's gradient with the true path, where it is known."""

import numpy as np
import pytest

from ganspace_jax.measures import error_gradients
from ganspace_jax.measures.error_gradients import IMAGE, LATENT, SEEN, Path
from ganspace_jax.sampling import inversion_losses
from tests import toy_generators

RANDOM = np.random.default_rng(0)
ERRORS = error_gradients.errors(None)


def _cosine(a, b):
    a, b = a.reshape(len(a), -1), b.reshape(len(b), -1)
    return (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)


def _image_path(side=8):
    points, targets, steps = RANDOM.normal(size=(3, 4, side, side, 3)).astype(np.float32)
    return Path("noise", IMAGE, points, None, targets[None], steps[None])


def test_the_gradient_of_pixels_points_to_the_target():
    path = _image_path()
    expected = _cosine(path.targets[0] - path.points, path.steps[0])
    for found in (
        error_gradients.cosines(path, ERRORS["pixels"]),
        error_gradients.seen_cosines(path, ERRORS["pixels"]),
    ):
        np.testing.assert_allclose(found[0], expected, atol=1e-5)


@pytest.mark.parametrize("sigma", error_gradients.BLURS)
def test_the_gradient_of_blurred_pixels_is_blurred_back(sigma):
    """With B the blur, -grad E = B^T B (target - x)."""
    path = _image_path()
    blur = inversion_losses._blur_matrix(8, sigma).astype(np.float64)

    def apply(matrix, images):
        return np.einsum("ih,nhwc,jw->nijc", matrix, images, matrix)

    difference = path.targets[0] - path.points
    name = f"blurred {sigma:g} px"
    back = apply(blur.T, apply(blur, difference))
    np.testing.assert_allclose(error_gradients.cosines(path, ERRORS[name])[0], _cosine(back, path.steps[0]), atol=1e-4)
    np.testing.assert_allclose(
        error_gradients.seen_cosines(path, ERRORS[name])[0],
        _cosine(apply(blur, difference), apply(blur, path.steps[0])),
        atol=1e-4,
    )


def test_the_gradient_in_latent_space_is_that_of_a_linear_generator():
    """With image = A w + b, -grad E = A^T A v for a target at w + v."""
    generator = toy_generators.linear()
    a = toy_generators.matrices(generator).sum(0)
    w, v = RANDOM.normal(size=(2, 4, 5))
    bias = np.asarray(generator.merge().bias[...], np.float64)
    targets = ((w + v) @ a.T + bias).reshape(1, 4, 4, 4, 1).astype(np.float32)
    layers, steps = (np.repeat(x[:, None], 3, axis=1).astype(np.float32) for x in (w, v))
    path = Path("toy", LATENT, layers, None, targets, steps[None])
    rows = error_gradients.measure([path], {"pixels": ERRORS["pixels"]}, [2.0], generator)
    expected = _cosine(v @ a.T @ a, v)
    np.testing.assert_allclose(error_gradients.cosines(path, ERRORS["pixels"], generator)[0], expected, atol=1e-4)
    (row,) = rows
    assert row.case == {"path": "toy", "space": LATENT, "error": "pixels"}
    np.testing.assert_allclose(row.figures["2 px"].value, expected.mean(), atol=1e-4)
    assert row.figures["2 px"].low < expected.mean() < row.figures["2 px"].high


def test_paths_of_images_have_two_rows():
    rows = error_gradients.measure([_image_path()], {"pixels": ERRORS["pixels"]}, [1.0], toy_generators.linear())
    assert [row.case["space"] for row in rows] == [IMAGE, SEEN]
