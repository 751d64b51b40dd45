"""SeFa reads weights: each family is compared with a float64 SVD of its own arrays."""

import jax
import numpy as np
import pytest

from ganspace_jax.errors import InputError
from ganspace_jax.generators import biggan, biggan_deep, dcgan, progan, stylegan2, zoo
from ganspace_jax.methods import direction_spec, finding, sefa
from ganspace_jax.methods.direction_spec import DirectionSpec

SPEC = DirectionSpec(method="sefa", num_components=3, num_samples=1000)


def drawn(family, config):
    """Returns a generator with random arrays."""
    random, abstract = np.random.default_rng(0), zoo.abstract_generator(family, config)
    return abstract._replace(
        params=jax.tree.map(lambda x: random.normal(size=x.shape).astype(x.dtype), abstract.params)
    )


def leading(weights, count=3):
    """Returns the leading right singular vectors of a matrix, and their shares."""
    _, values, rows = np.linalg.svd(weights.astype(np.float64), full_matrices=False)
    return rows[:count], values[:count] ** 2 / np.sum(values**2)


def assert_found(found, weights):
    """Compares directions, signs, order and shares with those of the SVD."""
    rows, shares = leading(weights)
    np.testing.assert_allclose(np.abs(np.sum(rows * found.latent_components, axis=1)), 1.0, atol=1e-6)
    np.testing.assert_allclose(found.variance_ratio, shares, rtol=1e-5)
    assert (found.latent_components[np.arange(3), np.abs(found.latent_components).argmax(1)] > 0).all()


@pytest.fixture(scope="module")
def style_based():
    config = stylegan2.Config(z_dim=6, w_dim=7, channels=(5, 4, 3), mapping_layers=2)
    return drawn("stylegan2", config)


def style_weights(generator, names):
    """Returns the weights of StyleGAN2's styles, with equalised learning rate."""
    weights = []
    for name in names:
        block, part = name.split(".")
        weights.append(np.asarray(generator.params["synthesis"][block][part]["affine"]["weight"]).T / np.sqrt(7))
    return np.concatenate(weights)


def test_stylegan2_is_the_svd_of_its_styles(style_based):
    names = ["b4.conv1", "b4.torgb", "b8.conv0", "b8.conv1", "b8.torgb", "b16.conv0", "b16.conv1", "b16.torgb"]
    found = finding.find(style_based, SPEC)
    assert_found(found, style_weights(style_based, names))
    assert found.spec.latent_space == "w" and not found.named


def test_moved_layers_select_styles_and_are_the_layers_that_an_edit_moves(style_based):
    found = finding.find(style_based, DirectionSpec(**{**vars(SPEC), "moved_layers": "1-2"}))
    assert_found(found, style_weights(style_based, ["b4.torgb", "b8.conv0", "b8.conv1"]))
    assert [(one.name, one.layers) for one in found.named] == [(f"sefa_{k}", (1, 3)) for k in range(3)]


def test_unit_weights_count_each_channel_alike(style_based):
    found = finding.find(style_based, DirectionSpec(**{**vars(SPEC), "moved_layers": "0", "unit_weights": True}))
    weights = style_weights(style_based, ["b4.conv1"])
    assert_found(found, weights / np.linalg.norm(weights, axis=1, keepdims=True))


def test_whitened_directions_are_the_svd_in_standard_deviations(style_based):
    spec = DirectionSpec(**{**vars(SPEC), "whitened": True})
    found = finding.find(style_based, spec)
    covariance = direction_spec.latent_distribution(style_based, spec).covariance
    root = np.linalg.cholesky(covariance)
    weights = sefa.affine_weights(style_based, (0, 6))
    rows = leading(weights @ root)[0] @ root.T
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    np.testing.assert_allclose(np.abs(np.sum(rows * found.latent_components, axis=1)), 1.0, atol=1e-5)
    assert not np.allclose(np.abs(found.latent_components), np.abs(finding.find(style_based, SPEC).latent_components))


def test_biggan_deep_is_the_svd_of_the_latents_part_of_its_batch_norms():
    config = biggan_deep.Config(5, 3, 4, ((False, 2, 2), (True, 2, 1)), attention_position=-1, embed_width=2)
    generator = drawn("biggan_deep", config)
    weights = [
        np.asarray(generator.params[f"layers_{k}"][f"bn_{i}"][part]["weight"])[:5].T
        for k in range(2) for i in range(4) for part in ("scale", "offset")
    ]  # fmt: skip
    assert_found(finding.find(generator, SPEC), np.concatenate(weights))
    only_first = finding.find(generator, DirectionSpec(**{**vars(SPEC), "moved_layers": "0"}))
    assert_found(only_first, np.asarray(generator.params["gen_z"]["weight"])[:5].T)


def test_biggan_gives_each_chunk_of_z_its_own_weights():
    config = biggan.Config(6, 2, ((True, 4, 4), (True, 4, 4)), embed_width=3)
    generator = drawn("biggan", config)
    weights = np.zeros((32, 6))
    parts = [(k, i, part) for k in range(2) for i in (1, 2) for part in ("gain", "bias")]
    for row, (k, i, part) in enumerate(parts):
        own = np.asarray(generator.params[f"blocks_{k}_0"][f"bn{i}"][part]["weight"])[3:].T
        weights[4 * row : 4 * row + 4, 2 * k + 2 : 2 * k + 4] = own  # chunk 0 is that of `linear`
    assert_found(finding.find(generator, SPEC), weights)


@pytest.mark.parametrize(
    ("family", "config", "layer"),
    [
        ("dcgan", dcgan.Config(z_dim=4, channels=(5, 3), num_classes=2), "main_0"),
        ("progan", progan.Config(z_dim=4, channels=(5, 3)), "layer1"),
    ],
)
def test_the_first_layer_of_others(family, config, layer):
    generator = drawn(family, config)
    kernel = np.asarray(generator.params[layer]["weight"])  # [4, 4, z and classes, channels]
    assert kernel.shape[2] == 4 + config.num_classes
    assert_found(finding.find(generator, SPEC), kernel[:, :, :4].transpose(0, 1, 3, 2).reshape(-1, 4))


@pytest.mark.parametrize("layers", ["6", "2-1", "1-9", "all", "-1"])
def test_layers_that_do_not_exist_are_refused(style_based, layers):
    with pytest.raises(InputError, match="moved_layers.*within 0-5"):
        finding.find(style_based, DirectionSpec(**{**vars(SPEC), "moved_layers": layers}))


def test_an_option_of_another_method_is_refused():
    with pytest.raises(InputError, match="--num_images.*image_jacobian and local_basis.*--method=sefa"):
        DirectionSpec(method="sefa", num_images=32)
    with pytest.raises(InputError, match="such method.*sefa"):
        DirectionSpec(method="sefaa")
