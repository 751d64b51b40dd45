"""DCGAN: parity with the PyTorch tutorial's."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from checkpoints_convert import dcgan_pytorch
from ganspace_jax.errors import InputError
from ganspace_jax.generators import dcgan, synthesis
from tests.golden_arrays import error, load

TOLERANCE = 1e-4


@pytest.fixture(scope="module")
def golden():
    arrays = load("dcgan_64")
    state = {key.removeprefix("param/"): value for key, value in arrays.items() if key.startswith("param/")}
    generator = dcgan_pytorch.convert(state)
    return arrays, state, generator, synthesis.map_latents(generator, jnp.asarray(arrays["input/z"][:, :, 0, 0]))


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
    at = lambda x: np.asarray(synthesis.activation(generator, x, "main.0"))  # noqa: E731
    np.testing.assert_allclose(
        at(2.0 * latents[:1] - latents[1:2]), 2.0 * at(latents[:1]) - at(latents[1:2]), atol=1e-5
    )


def test_a_bias_before_a_batch_norm_goes_into_its_mean_and_the_last_one_stays():
    """Against the same network whose batch norms and image are moved by hand."""
    rng, shapes = np.random.default_rng(0), {0: (3, 6, 4, 4), 3: (6, 4, 4, 4), 6: (4, 3, 4, 4)}
    state = {f"main.{i}.weight": rng.normal(size=shape) for i, shape in shapes.items()}
    for layer, width in ((1, 6), (4, 4)):
        state |= {f"main.{layer}.{leaf}": rng.uniform(1, 2, width) for leaf in ("weight", "bias", "running_mean")}
        state[f"main.{layer}.running_var"] = rng.uniform(1, 2, width)
    biases = {f"main.{i}.bias": rng.normal(size=width) for i, width in ((0, 6), (3, 4), (6, 3))}
    generator = dcgan_pytorch.convert({**state, **biases})
    moved = {
        **state,
        "main.1.running_mean": state["main.1.running_mean"] - biases["main.0.bias"],
        "main.4.running_mean": state["main.4.running_mean"] - biases["main.3.bias"],
    }
    latents = jnp.asarray(rng.normal(size=(2, 1, 3)), jnp.float32)
    at = [synthesis.activation(g, latents, "main.6") for g in (generator, dcgan_pytorch.convert(moved))]
    np.testing.assert_allclose(at[0], at[1] + biases["main.6.bias"], atol=1e-5)
    with pytest.raises(InputError, match=r"main\.0\.bias: has shape \(1,\), its batch norm's mean has \(6,\)"):
        dcgan_pytorch.convert({**state, "main.0.bias": np.zeros(1)})


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
    with pytest.raises(InputError, match=r"main\.12\.weight: makes 4 channels; an image has 1 or 3"):
        dcgan_pytorch.convert({**state, "main.12.weight": np.zeros((4, 4, 4, 4))})
    with pytest.raises(InputError, match="main: has 17 convolutions; networks of up to 16 are converted"):
        dcgan_pytorch.convert({f"main.{3 * i}.weight": np.zeros((1, 1, 4, 4)) for i in range(17)})
    with pytest.raises(InputError, match=r"main\.4\.bias: missing"):
        dcgan_pytorch.convert({k: v for k, v in state.items() if k != "main.4.bias"})
    with pytest.raises(InputError, match=r"main\.99\.weight: nothing"):
        dcgan_pytorch.convert({**state, "main.99.weight": np.zeros(3)})
