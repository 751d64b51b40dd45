"""DCGAN: parity with the PyTorch tutorial's."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from checkpoints_convert import dcgan_pytorch
from ganspace_jax.errors import InputError
from ganspace_jax.generators import dcgan, synthesis, zoo
from tests.dcgan_files import drawn
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
    with pytest.raises(InputError, match=r"main\.0\.bias: has shape \(1,\), the mean of its batch norm has \(6,\)"):
        dcgan_pytorch.convert({**state, "main.0.bias": np.zeros(1)})


def test_a_batch_norm_without_gain_and_bias_has_one_and_zero():
    """affine=False of PyTorch: against the same network with the arrays written out."""
    state = drawn((3, 4, 2, 3))
    bare = {name: array for name, array in state.items() if name not in ("main.1.weight", "main.1.bias")}
    written = {**bare, "main.1.weight": np.ones(4, np.float32), "main.1.bias": np.zeros(4, np.float32)}
    found, expected = (dcgan_pytorch.convert(one).params for one in (bare, written))
    jax.tree.map(np.testing.assert_array_equal, found, expected)


# Classes.


@pytest.fixture(scope="module")
def conditional():
    """A network with 3 classes beside z, and the same network with all inputs as z."""
    state = drawn((8, 4, 2, 3))
    return dcgan_pytorch.convert(state, num_classes=3), dcgan_pytorch.convert(state)


def test_the_label_is_the_last_inputs(conditional):
    """Against the network without classes, one-hot labels and a mixture."""
    generator, plain = conditional
    rng = np.random.default_rng(0)
    z = rng.normal(size=(3, 5)).astype(np.float32)
    label = jnp.array([[0, 1, 0], [1, 0, 0], [0.25, 0, 0.75]])
    module = generator.merge()
    assert (module.z_dim, module.num_classes, module.latent_shape) == (5, 3, (1, 5))
    assert (generator.latent_space, generator.latent_size) == ("z", 5)
    image = synthesis.synthesize(generator, synthesis.map_latents(generator, jnp.asarray(z), label), label=label)
    joined = jnp.asarray(np.concatenate([z, label], axis=1))
    np.testing.assert_array_equal(image, synthesis.synthesize(plain, synthesis.map_latents(plain, joined)))
    other = synthesis.synthesize(
        generator, synthesis.map_latents(generator, jnp.asarray(z), label), label=label[jnp.array([1, 0, 2])]
    )
    assert np.abs(np.asarray(other - image))[:2].max() > 0.1


def test_edits_of_the_latent_do_not_move_the_class(conditional):
    """A step along every direction of the latent leaves the label's part of the first
    layer.
    """
    generator, _ = conditional
    label = jnp.eye(3)[:1]
    first = lambda x, y: np.asarray(synthesis.activation(generator, x, "main.0", label=y))  # noqa: E731
    zero, step = jnp.zeros((1, 1, 5)), jnp.ones((1, 1, 5))
    own = first(zero, label)
    assert np.abs(own - first(zero, jnp.eye(3)[1:2])).max() > 0.1
    np.testing.assert_allclose(first(step, label) - own, first(step, 0 * label), atol=1e-5)


def test_a_label_must_be_there_where_there_are_classes(conditional):
    generator, plain = conditional
    with pytest.raises(ValueError, match=r"label: this generator is conditional; give \[batch, 3\] weights"):
        generator.merge()(jnp.zeros((1, 1, 5)))
    with pytest.raises(ValueError, match="label: this generator is not conditional"):
        plain.merge().map_latents(jnp.zeros((1, 8)), jnp.zeros((1, 3)))


def test_classes_survive_a_checkpoint(conditional, tmp_path):
    generator, _ = conditional
    config = dataclasses.replace(generator.merge().config, class_names=("a", "b", "c"))
    named = zoo.abstract_generator("dcgan", config)._replace(params=generator.params)
    zoo.save(tmp_path / "made", named)
    assert zoo.load(tmp_path / "made").merge().config == config
    assert zoo.load(tmp_path / "made").merge().class_names == ("a", "b", "c")


@pytest.mark.parametrize("number", [8, 9, -1, 2.5, float("nan"), float("inf")])
def test_classes_must_leave_an_input_for_z(number):
    with pytest.raises(
        InputError, match=r"--option=num_classes=\S+: must be a whole number from 0 to 7, .* main\.0\.weight has 8"
    ):
        dcgan_pytorch.convert(drawn((8, 4, 3)), num_classes=number)


# Other shapes.


@pytest.mark.parametrize("channels", [(6,), (8, 4, 2)])
def test_any_depth(channels):
    config = dcgan.Config(z_dim=3, channels=channels, image_channels=1)
    module = dcgan.DCGAN(config, key=jax.random.key(0))
    image, _ = module(module.map_latents(jnp.ones((2, 3))))
    assert image.shape == (2, config.resolution, config.resolution, 1)
    assert config.resolution == 4 * 2 ** len(channels)
