"""StudioGAN's BigGANs: the first author's networks in its layout make the reference's
images.
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from checkpoints_convert import biggan_ajbrock, biggan_studiogan, formats, networks
from ganspace_jax.errors import InputError
from ganspace_jax.generators import biggan, synthesis, zoo
from tests.golden_arrays import error, load, part

EPSILON = 1e-4  # of all batch norms in StudioGAN's code
ATTENTION = {"theta": "conv1x1_theta", "phi": "conv1x1_phi", "g": "conv1x1_g", "o": "conv1x1_attn"}


def _as_studiogan(generator, *, embeddings=False, spectral_norm=True):
    """Returns the state dict of a generator; the variances make up for the epsilon."""
    config, params, state = generator.merge().config, generator.params, {}
    rng = np.random.default_rng(5)

    def add(module, weight, bias=None):
        """Adds a weight, divided by the spectral norm that its vectors give."""
        weight = np.asarray(weight)
        if spectral_norm:
            u, v = rng.standard_normal(len(weight)), rng.standard_normal(weight[0].size)
            scale = 1 / (u @ weight.reshape(len(weight), -1) @ v)
            state[f"{module}.weight_orig"] = 1.7 * weight
            state[f"{module}.weight_u"], state[f"{module}.weight_v"] = scale * u, v
        else:
            state[f"{module}.weight"] = weight
        if bias is not None:
            state[f"{module}.bias"] = bias

    def add_norm(module, norm, epsilon):
        state[f"{module}.running_mean"] = norm["stored_mean"]
        state[f"{module}.running_var"] = np.asarray(norm["stored_var"]) + (epsilon - EPSILON)
        state[f"{module}.num_batches_tracked"] = np.array(7)

    kernel = lambda weight: np.asarray(weight).transpose(3, 2, 0, 1)  # noqa: E731
    first = config.blocks[0][1]
    linear = params["linear"]
    outputs = lambda x: x.reshape(-1, config.bottom_width**2, first).transpose(0, 2, 1)  # noqa: E731
    weight = outputs(np.asarray(linear["weight"])).reshape(len(linear["weight"]), -1).T
    add("linear0", weight, outputs(np.asarray(linear["bias"])).reshape(-1))
    if "shared" in params:
        state["shared.weight"] = params["shared"]["weight"]
    number = 0
    for index in range(len(config.blocks)):
        for name, layer in params[f"blocks_{index}_0"].items():
            module = f"blocks.{number}.0.{name}"
            if name.startswith("conv"):
                theirs = f"blocks.{number}.0.conv2d{'0' if name == 'conv_sc' else name[-1]}"
                add(theirs, kernel(layer["weight"]), layer["bias"])
                continue
            for leaf, embedding in (("gain", "embed0"), ("bias", "embed1")):
                weight = np.asarray(layer[leaf]["weight"])
                add(f"{module}.{embedding if embeddings else leaf}", weight if embeddings else weight.T)
            add_norm(f"{module}.bn", layer, config.epsilon)
        number += 1
        if index in config.attention:
            layer = params[f"blocks_{index}_1"]
            for name, theirs in ATTENTION.items():
                add(f"blocks.{number}.0.{theirs}", kernel(layer[name]["weight"]))
            state[f"blocks.{number}.0.sigma"] = np.asarray(layer["gamma"]).reshape(1)
            number += 1
    last = params["output_layer_0"]
    add_norm("bn4", last, biggan.OUTPUT_EPSILON)
    state["bn4.weight"], state["bn4.bias"] = last["gain"], last["bias"]
    add("conv2d5", kernel(params["output_layer_2"]["weight"]), params["output_layer_2"]["bias"])
    return {name: np.asarray(array) for name, array in state.items()}


@pytest.fixture(scope="module", params=["biggan_ajbrock_32", "biggandeep_ajbrock_32"])
def golden(request):
    arrays = load(request.param)
    kwargs = arrays["config"]["generator_kwargs"]
    options = {key: value for key, value in kwargs.items() if key in biggan_ajbrock.OPTIONS}
    return arrays, biggan_ajbrock.convert(part(arrays, "param/"), options)


@pytest.mark.parametrize("spectral_norm", [True, False])
def test_the_first_authors_networks_make_the_reference_images(golden, spectral_norm):
    arrays, original = golden
    state = _as_studiogan(original, spectral_norm=spectral_norm)
    content = {"state_dict": state, "optimizer": {"state": {0: {"exp_avg": np.ones(3)}}}, "seed": 3, "best_fid": 4.0}
    found, network = formats.recognize(formats.Source("x", "torch file", networks.find(content, {})))
    assert (found.name, network.name) == ("biggan_studiogan", "state_dict")
    depth = {"g_depth": arrays["config"]["generator_kwargs"]["G_depth"]} if original.config.deep else {}
    generator = formats.convert(found, network, depth, "x")
    assert generator.config == dataclasses.replace(original.config, epsilon=EPSILON)
    latents, label = (
        synthesis.map_latents(generator, jnp.asarray(arrays["input/z"])),
        jnp.asarray(arrays["input/label"]),
    )
    assert error(synthesis.synthesize(generator, latents, label=label), arrays["output/image"]) < 1e-4


def _drawn(**settings):
    config = biggan.Config(
        num_classes=3, epsilon=EPSILON, **{"z_dim": 9, "blocks": ((True, 8, 16), (True, 16, 8)), **settings}
    )
    abstract, rng = zoo.abstract_generator("biggan", config), np.random.default_rng(0)
    draw = lambda x: jnp.asarray(rng.uniform(0.5, 1.5, x.shape).astype(np.float32))  # noqa: E731
    return abstract._replace(params=jax.tree.map(draw, abstract.params))


DEEP = ((False, 8, 8), (True, 8, 8), (False, 8, 8), (True, 8, 4))


@pytest.mark.parametrize(
    ("settings", "embeddings"),
    [
        ({"embed_width": 4, "attention": (0,)}, False),
        ({"embed_width": 4, "attention": (0, 1), "image_channels": 1}, False),
        ({"embed_width": 4, "deep": True, "blocks": DEEP, "attention": (1,)}, False),
        ({"embed_width": 4, "hierarchical": False}, False),
        ({"hierarchical": False, "attention": (1,)}, False),
        ({"hierarchical": False}, True),
    ],
    ids=["big_resnet", "grey", "big_resnet_deep", "shared embedding", "resnet", "resnet with embeddings"],
)
def test_every_backbone_gives_its_network_back(settings, embeddings):
    generator = _drawn(**settings)
    found = biggan_studiogan.convert(_as_studiogan(generator, embeddings=embeddings))
    assert found.config == generator.config
    close = lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)  # noqa: E731
    jax.tree.map(close, found.params, generator.params)


def test_small_variances_of_the_last_batch_norm_count_with_the_codes_epsilon():
    generator = _drawn(embed_width=4)
    state = _as_studiogan(generator)
    state["bn4.running_var"] = np.full_like(state["bn4.running_var"], 2e-5)
    found = biggan_studiogan.convert(state).params["output_layer_0"]["stored_var"]
    np.testing.assert_allclose(found + biggan.OUTPUT_EPSILON, 1.2e-4, rtol=1e-6)


def test_what_does_not_fit_is_named():
    state = _as_studiogan(_drawn(embed_width=4, attention=(0,)))

    def refused(message, changes, *left_out, options=None):
        changed = {name: array for name, array in {**state, **changes}.items() if name not in left_out}
        with pytest.raises(InputError, match=message) as failure:
            biggan_studiogan.convert(changed, options)
        assert "\n" not in str(failure.value)

    for name in ("blocks.0.0.bn2.bn.running_mean", "blocks.1.0.sigma", "bn4.running_var", "conv2d5.bias"):
        refused(f"parameter {name}: missing from the file", {}, name)
        refused(f"parameter {name}: has shape", {name: np.ones((2, *state[name].shape), np.float32)})
    refused("parameter blocks.0.0.bn1.bias.weight_u: missing from the file", {}, "blocks.0.0.bn1.bias.weight_u")
    refused(r"parameter info_mix_linear\.bias: nothing in this", {"info_mix_linear.bias": np.ones(9)})
    refused(r"parameter linear0\.weight: missing from the file", {}, "linear0.weight_orig")
    wide = {"blocks.0.0.bn1.gain.weight_orig": np.ones((8, 11), np.float32)}
    refused(r"bn1\.gain\.weight: has 11 inputs, but class embedding and z have 7", wide)
    unconditional = {"blocks.0.0.bn1.gain.weight_orig": np.ones((8, 3), np.float32)}
    refused(r"shared\.weight: missing, so the network has no classes", unconditional, "shared.weight")
    refused(
        r"blocks\.0\.0\.conv1x1_theta: attention before", {"blocks.0.0.conv1x1_theta.weight": np.ones((1, 8, 1, 1))}
    )
    deep = _as_studiogan(_drawn(embed_width=4, deep=True, blocks=DEEP))
    for depth in (3, 1.5, 0):
        with pytest.raises(InputError, match=f"--option=g_depth={depth:g}: must be a whole number that divides .*, 4"):
            biggan_studiogan.convert(deep, {"g_depth": depth})
    huge = {f"blocks.{2 * 64}.0.conv2d1.weight": np.ones((1, 1, 1, 1))}
    refused("blocks: there are 129; networks of up to 64", huge)
