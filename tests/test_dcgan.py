"""DCGAN: parity with the PyTorch tutorial's."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from golden_arrays import error, load

from checkpoints_convert import dcgan_pytorch
from ganspace_jax.failures import InputError
from ganspace_jax.generators import base, dcgan

TOLERANCE = 1e-4


@pytest.fixture(scope="module")
def golden():
    arrays = load("dcgan_64")
    state = {key.removeprefix("param/"): value for key, value in arrays.items() if key.startswith("param/")}
    generator = dcgan_pytorch.convert(state)
    return arrays, state, generator, base.map_latents(generator, jnp.asarray(arrays["input/z"][:, :, 0, 0]))


@pytest.mark.usefixtures("optimized")
def test_image_and_activations_match_the_reference(golden):
    arrays, _, generator, latents = golden
    image, activations = jax.jit(generator.merge())(latents)
    assert error(image, arrays["output/image"]) < TOLERANCE
    stored = {k.removeprefix("output/act/"): v for k, v in arrays.items() if "output/act/" in k}
    assert len(stored) == 9 and set(activations) - set(stored) == {f"main.{i}" for i in (2, 5, 8, 11)}
    for name, reference in stored.items():
        assert error(activations[name], reference) < TOLERANCE, name


def test_wrapped_names_convert_alike(golden):
    """A model saved from DataParallel."""
    _, state, generator, _ = golden
    wrapped = dcgan_pytorch.convert({f"module.{name}": array for name, array in state.items()})
    jax.tree.map(np.testing.assert_array_equal, wrapped.params, generator.params)


def test_the_first_layer_is_linear_in_z(golden):
    _, _, generator, latents = golden
    at = lambda x: np.asarray(base.activation(generator, x, "main.0"))  # noqa: E731
    np.testing.assert_allclose(
        at(2.0 * latents[:1] - latents[1:2]), 2.0 * at(latents[:1]) - at(latents[1:2]), atol=1e-5
    )


@pytest.mark.parametrize("channels", [(6,), (8, 4, 2)])
def test_any_depth(channels):
    config = dcgan.Config(z_dim=3, channels=channels, image_channels=1)
    module = dcgan.DCGAN(config, key=jax.random.key(0))
    image, _ = module(module.map_latents(jnp.ones((2, 3))))
    assert image.shape == (2, config.resolution, config.resolution, 1)
    assert config.resolution == 4 * 2 ** len(channels)


def test_what_is_not_a_dcgan_is_refused(golden):
    state = golden[1]
    with pytest.raises(InputError, match="kernels main.0, main.3, .* are 4x4"):
        dcgan_pytorch.convert({"main.0.weight": np.zeros((3, 4, 3, 3))})
    with pytest.raises(InputError, match=r"main\.4\.bias: missing"):
        dcgan_pytorch.convert({k: v for k, v in state.items() if k != "main.4.bias"})
    with pytest.raises(InputError, match=r"main\.99\.weight: nothing"):
        dcgan_pytorch.convert({**state, "main.99.weight": np.zeros(3)})
