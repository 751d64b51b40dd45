"""StyleGAN2 matches the reference arrays and fulfils the generator contract."""

import itertools
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from ganspace_jax.generators import base, ops, stylegan2, synthesis
from tests import golden_arrays

TOLERANCE = 1e-4
FILES = ("stylegan2_ada_ffhq32", "stylegan2_ada_cifar32", "stylegan2_tf_f32", "stylegan2_rosinality_f32")
RUNS = {
    "image": {},
    "image_psi0.7": {"truncation_psi": 0.7},
    "image_psi0.5": {"truncation_psi": 0.5},
    "image_psi0.5_cutoff4": {"truncation_psi": 0.5, "truncation_cutoff": 4},
    "image_noise_none": {"noise": None},
}


@pytest.fixture(scope="module", params=FILES)
def golden(request):
    arrays = golden_arrays.load(request.param)
    generator = golden_arrays.stylegan2_generator(arrays)
    label = jnp.asarray(arrays["input/label"]) if "input/label" in arrays else None
    return arrays, generator, jnp.asarray(arrays["input/z"]), label


@pytest.fixture(scope="module")
def small():
    config = stylegan2.Config(z_dim=8, w_dim=6, channels=(6, 5, 4), mapping_layers=2)
    return base.split(stylegan2.StyleGAN2(config, key=jax.random.key(0)))


def _latents(generator, count=2, seed=1):
    module = generator.merge()
    return jax.random.normal(jax.random.key(seed), (count, *module.latent_shape))


@pytest.mark.usefixtures("optimized")
def test_images_match_the_reference(golden):
    arrays, generator, z, label = golden
    latents = synthesis.map_latents(generator, z, label)
    assert golden_arrays.error(latents[:, 0], arrays["output/w"]) < TOLERANCE
    runs = {name: settings for name, settings in RUNS.items() if f"output/{name}" in arrays}
    assert len(runs) >= 3
    for name, settings in runs.items():
        image = synthesis.synthesize(generator, latents, **settings)
        assert golden_arrays.error(image, arrays[f"output/{name}"]) < TOLERANCE, name
    image = synthesis.synthesize(generator, jnp.asarray(arrays["input/ws"]))
    assert golden_arrays.error(image, arrays["output/image_ws"]) < TOLERANCE


def test_activations_match_the_reference(golden):
    arrays, generator, z, label = golden
    module = generator.merge()
    ours = {**module.map_with_activations(z, label)[1], **jax.jit(module)(module.map_latents(z, label))[1]}
    compared = 0
    for key in (k.removeprefix("output/act/") for k in arrays if k.startswith("output/act/")):
        name = _our_activation(key)
        reference = arrays[f"output/act/{key}"]
        if name == "normalized z":
            value = ops.normalize_second_moment(z)
        elif name == "constant":
            value = module.synthesis.b4.const[...][None]
        else:
            value = ours[name]
        assert golden_arrays.error(value, reference) < TOLERANCE, key
        compared += 1
    assert compared > 25


def _our_activation(name: str) -> str:
    """Returns our activation's name for the reference's module name."""
    if name.startswith(("mapping.", "synthesis.")):
        return name.removeprefix("synthesis.").replace(".affine", ".style").replace(".img", ".image")
    if name in ("style.0", "input"):
        return {"style.0": "normalized z", "input": "constant"}[name]
    if match := re.fullmatch(r"style\.(\d+)", name):
        return f"mapping.fc{int(match[1]) - 1}"
    module, rest = re.fullmatch(r"(conv1|to_rgb1|convs\.\d+|to_rgbs\.\d+)\.?(.*)", name).groups()
    index = int(module.rpartition(".")[2]) if "." in module else None
    if module.startswith("to_rgb"):
        return f"b{4 if index is None else 8 * 2**index}.image"
    layer = "b4.conv1" if index is None else f"b{8 * 2 ** (index // 2)}.conv{index % 2}"
    suffix = {"": "", "activate": "", "conv": ".linear", "noise": ".noised", "conv.modulation": ".style"}[rest]
    return layer + suffix


def test_mixed_latents_match_the_reference():
    arrays = golden_arrays.load("stylegan2_rosinality_f32")
    generator = golden_arrays.stylegan2_generator(arrays)
    first, second = (synthesis.map_latents(generator, jnp.asarray(arrays[f"input/{n}"])) for n in ("z", "z2"))
    cut = arrays["config"]["mix_inject_index"]
    mixed = jnp.concatenate([first[:, :cut], second[:, cut:]], axis=1)
    image = synthesis.synthesize(generator, mixed)
    assert golden_arrays.error(image, arrays[f"output/image_mix_inject{cut}"]) < TOLERANCE


@pytest.mark.parametrize("architecture", ["skip", "resnet", "orig"])
def test_every_configuration_gives_finite_images(architecture):
    config = stylegan2.Config(
        z_dim=5, w_dim=4, channels=(4, 3, 5), num_classes=3, image_channels=1, mapping_layers=3, mapping_width=7,
        embed_width=2, architecture=architecture, conv_clamp=0.5, compute_dtype="bfloat16",
    )  # fmt: skip
    generator = base.split(stylegan2.StyleGAN2(config, key=jax.random.key(0)))
    label = jax.nn.one_hot(jnp.array([0, 2]), 3)
    latents = synthesis.map_latents(generator, jax.random.normal(jax.random.key(1), (2, 5)), label)
    module = generator.merge()
    image, activations = jax.jit(module)(latents)
    assert image.shape == (2, 16, 16, 1) and image.dtype == jnp.float32
    assert bool(jnp.isfinite(image).all())
    assert activations["b8.conv0"].dtype == jnp.bfloat16
    assert float(jnp.abs(activations["b8.conv0"].astype(jnp.float32)).max()) == 0.5
    assert (architecture == "skip") == ("b4.torgb" in activations)


def test_bfloat16_is_near_float32(small):
    latents = _latents(small)
    module = small.merge()
    config = stylegan2.Config(**{**vars(module.config), "compute_dtype": "bfloat16"})
    other = base.split(stylegan2.StyleGAN2(config, key=jax.random.key(0)))._replace(params=small.params)
    exact, rough = synthesis.synthesize(small, latents), synthesis.synthesize(other, latents)
    difference = float(jnp.abs(exact - rough).max() / jnp.abs(exact).max())
    assert 0 < difference < 0.05


def test_capturing_never_changes_the_image(small):
    latents = _latents(small)
    image = synthesis.synthesize(small, latents)
    captured, activations = jax.jit(lambda params, x: base.merge(small.definition, params)(x))(small.params, latents)
    assert np.array_equal(captured, image)
    assert np.array_equal(synthesis.activation(small, latents, "b16.image"), activations["b16.image"])


def test_a_zero_offset_is_the_identity_and_another_moves_its_activation_by_itself(small):
    latents = _latents(small)
    image = synthesis.synthesize(small, latents)
    shapes = base.activation_shapes(small)
    for name in ("b4.conv1", "b8.conv0.style", "b8.conv1.linear", "b8.torgb", "b16.image"):
        still = synthesis.synthesize(small, latents, offsets={name: jnp.zeros(shapes[name])})
        np.testing.assert_allclose(still, image, atol=1e-6)  # XLA fuses the addition, which changes rounding
        moved = synthesis.synthesize(small, latents, offsets={name: jnp.ones(shapes[name])})
        assert float(jnp.abs(moved - image).max()) > 1e-3, name
    activations = small.merge()(latents, offsets={"b8.conv0": jnp.full((8, 8, 5), 3.0)})[1]
    plain = small.merge()(latents)[1]
    np.testing.assert_allclose(activations["b8.conv0"] - plain["b8.conv0"], 3.0, rtol=1e-6)
    assert np.array_equal(activations["b4.conv1"], plain["b4.conv1"])


def test_an_unknown_offset_is_refused(small):
    with pytest.raises(ValueError, match="b9.conv0"):
        synthesis.synthesize(small, _latents(small), offsets={"b9.conv0": jnp.zeros(1)})


def test_latents_from_layer_k_on_leave_earlier_activations_alone(small):
    run = jax.jit(lambda params, x: base.merge(small.definition, params)(x)[1])
    latents = _latents(small)
    before = run(small.params, latents)
    changed = run(small.params, latents.at[:, 3:].add(1.0))  # layer 3: the up-sampling convolution of b16
    early = [name for name in before if name.startswith(("b4.", "b8.")) and "torgb" not in name and "image" not in name]
    assert len(early) >= 9
    for name in early:
        assert np.array_equal(before[name], changed[name]), name
    assert not np.array_equal(before["b16.conv0"], changed["b16.conv0"])


def test_compiled_work_grows_with_the_depth_of_the_activation(small):
    def flops(name):
        run = jax.jit(lambda params, x: base.merge(small.definition, params)(x)[1][name])
        return run.lower(small.params, _latents(small)).compile().cost_analysis()["flops"]

    names = [f"b{size}.{layer}" for size in (4, 8, 16) for layer in ("conv0", "conv1") if (size, layer) != (4, "conv0")]
    work = [flops(name) for name in names]
    assert all(a < b for a, b in itertools.pairwise(work)), dict(zip(names, work, strict=True))


def test_noise_of_a_sample_does_not_depend_on_its_batch(small):
    loud = jax.tree_util.tree_map_with_path(
        lambda path, x: jnp.ones_like(x) if "noise_strength" in jax.tree_util.keystr(path) else x, small.params
    )
    generator, latents = small._replace(params=loud), _latents(small, count=3)
    keys = jax.random.split(jax.random.key(5), 3)
    together = synthesis.synthesize(generator, latents, noise=keys)
    alone = synthesis.synthesize(generator, latents[1:2], noise=keys[1:2])
    np.testing.assert_allclose(together[1:2], alone, atol=1e-5)
    assert not np.allclose(together, synthesis.synthesize(generator, latents, noise=keys[::-1]))
    assert not np.allclose(together, synthesis.synthesize(generator, latents, noise=None))


def test_truncation_zero_is_the_mean_image(small):
    other = synthesis.synthesize(small, _latents(small, seed=2), truncation_psi=0.0)
    np.testing.assert_allclose(synthesis.synthesize(small, _latents(small), truncation_psi=0.0), other, atol=1e-6)


def test_one_program_serves_every_truncation(small):
    """The styles equal those with a constant psi and cutoff."""
    generator, latents = small, _latents(small)
    names = ["b4.conv1.style", "b8.conv0.style", "b16.torgb.style"]
    traces = []

    @jax.jit
    def styles(psi, cutoff):
        traces.append(psi)
        activations = generator.merge()(latents, truncation_psi=psi, truncation_cutoff=cutoff)[1]
        return [activations[name] for name in names]

    fixed = jax.jit(lambda psi, cutoff: styles.__wrapped__(psi, cutoff), static_argnums=(0, 1))
    for psi, cutoff in ((0.7, 1), (0.5, 2), (1.0, 0)):
        for found, expected in zip(styles(psi, cutoff), fixed(psi, cutoff), strict=True):
            np.testing.assert_allclose(found, expected, atol=1e-6)
    assert len(traces) == 1 + 3
    assert np.any(np.asarray(styles(0.7, 1)[0]) != np.asarray(styles(0.5, 1)[0]))


def test_labels_are_checked(small):
    with pytest.raises(ValueError, match="not conditional"):
        synthesis.map_latents(small, jnp.zeros((1, 8)), jnp.zeros((1, 3)))
    config = stylegan2.Config(z_dim=8, w_dim=6, channels=(2,), num_classes=3, mapping_layers=1)
    conditional = stylegan2.StyleGAN2(config, key=jax.random.key(0))
    with pytest.raises(ValueError, match=r"label: this generator is conditional; give \[batch, 3\] weights"):
        conditional.map_latents(jnp.zeros((1, 8)))


def test_split_and_merge_are_inverse(small):
    again = base.split(small.merge())
    assert again.definition == small.definition
    assert all(
        np.array_equal(a, b) for a, b in zip(jax.tree.leaves(again.params), jax.tree.leaves(small.params), strict=True)
    )
    assert isinstance(small.merge(), nnx.Module)
