"""Networks that are no generators, by the parameters that published codes give them."""

import numpy as np
import pytest

from checkpoints_convert import formats, other_networks
from checkpoints_convert.networks import Network
from checkpoints_convert.sources import Source
from ganspace_jax.errors import InputError
from tests.dcgan_files import drawn


def _network(names, name="state_dict"):
    return Network(name, {each: np.zeros(2, np.float32) for each in names.split()})


DISCRIMINATORS = {
    "rosinality": "convs.0.0.weight convs.1.conv1.0.weight final_conv.0.weight final_linear.1.weight final_linear.1.bias",
    "NVIDIA": "b32.fromrgb.weight b32.conv0.weight b32.conv1.weight b4.conv.weight b4.fc.weight b4.out.weight",
    "BigGAN": "blocks.0.0.conv1.weight blocks.0.0.conv1.u0 linear.weight embed.weight",
    "lucidrains": "blocks.0.conv_res.weight blocks.0.net.0.weight final_conv.weight to_logit.weight",
    "TensorFlow": "4x4/Conv/weight 4x4/Dense0/weight Output/weight 8x8/FromRGB/weight",
    "genforce": "input0.weight layer0.weight layer1.weight layer1.bias",
}


@pytest.mark.parametrize("code", DISCRIMINATORS)
def test_a_discriminator_is_called_so(code):
    other = other_networks.recognize([_network(DISCRIMINATORS[code])])
    assert other is not None and "discriminator" in other.words and "g_ema" in other.advice


def test_a_discriminator_of_plain_convolutions_is_told_by_its_widths():
    kernels = {
        f"main.{i}.weight": np.zeros(shape) for i, shape in enumerate([(8, 3, 4, 4), (16, 8, 4, 4), (1, 16, 4, 4)])
    }
    assert "discriminator" in other_networks.recognize([Network("", kernels)]).words
    features = {**kernels, "main.2.weight": np.zeros((2, 16, 4, 4))}
    assert other_networks.recognize([Network("", features)]) is None
    generator = drawn((8, 4, 4, 3))
    assert other_networks.recognize([Network("", generator)]) is None
    assert "discriminator" in other_networks.recognize([_network("a.weight a.bias b.weight", "netD")]).words


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (
            "encoder.input_layer.0.weight encoder.body.0.res_layer.0.weight encoder.styles.0.convs.0.weight",
            "an encoder",
        ),
        ("input_layer.0.weight body.0.res_layer.1.weight styles.0.convs.0.weight", "an encoder"),
        ("input_layer.0.weight body.0.res_layer.1.weight output_layer.3.weight", "recognizes faces"),
        ("down_blocks.0.resnets.0.conv1.weight time_embedding.linear_1.weight conv_in.weight", "a diffusion model"),
        ("model.diffusion_model.input_blocks.0.0.weight a.b c.d", "a diffusion model"),
        ("encoder.conv_in.weight decoder.conv_in.weight quant_conv.weight", "an autoencoder"),
        ("lora_unet_a.lora_down.weight lora_unet_a.lora_up.weight lora_unet_a.alpha", "an adapter"),
        ("features.0.weight features.0.bias classifier.6.weight", "a classifier"),
        ("features.0.weight features.2.weight features.5.weight", "VGG"),
        ("Conv2d_1a_3x3.conv.weight Mixed_5b.branch1x1.conv.weight fc.weight", "a classifier"),
        ("lin0.model.1.weight lin1.model.1.weight lin2.model.1.weight", "LPIPS"),
        ("model.embed_tokens.weight model.layers.0.self_attn.q_proj.weight lm_head.weight", "a language model"),
    ],
)
def test_other_networks_are_called_what_they_are(names, words):
    found = other_networks.recognize([_network(names)])
    assert found is not None and words in found.words
    with pytest.raises(
        InputError, match=rf"x: a torch file with .*{words}.*; give .*; known formats: stylegan2"
    ) as caught:
        formats.recognize(Source("x", "torch file", (_network(names),)))
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize(
    "names",
    [
        "encoder.input_layer.0.weight encoder.styles.0.linear.weight decoder.style.1.weight",
        "synthesis.main.0.weight synthesis.init.weight mapping.fc0.weight",
        "blocks.0.0.conv1.weight linear.weight output_layer.1.weight",
        "D.blocks.0.conv_res.weight G.blocks.0.to_style.weight G.initial_block",
        "first.weight second.weight third.weight",
    ],
)
def test_what_may_be_a_generator_is_not_called_another_network(names):
    assert other_networks.recognize([_network(names)]) is None


def test_an_unknown_network_beside_a_discriminator_may_be_the_generator():
    discriminator, unknown = _network(DISCRIMINATORS["NVIDIA"], "D"), _network("a.weight b.weight c.weight", "G")
    assert other_networks.recognize([discriminator, unknown]) is None
    assert other_networks.recognize([discriminator, _network("step", "optimizer")]) is not None
    assert other_networks.recognize([]) is None


def test_noise_images_are_no_discriminator():
    """The noise images of StyleGAN2 have one channel each, as a chain that ends in one
    number.
    """
    noises = {f"noises.noise_{i}": np.zeros((1, 1, 4 << i, 4 << i)) for i in range(4)}
    assert other_networks.recognize([Network("", noises)]) is None


def test_blocks_of_a_whole_discriminator_do_not_hide_it():
    names = DISCRIMINATORS["rosinality"] + " convs.1.conv2.0.weight convs.1.skip.0.weight"
    whole = _network(names, "")._replace(class_name="model.Discriminator")
    block = _network("conv1.0.weight conv2.0.weight skip.0.weight", "convs.1")._replace(class_name="model.ResBlock")
    assert "discriminator" in other_networks.recognize([whole, block]).words
    beside = block._replace(class_name="")  # of a state dict beside it, so it may be a generator
    assert other_networks.recognize([whole, beside]) is None
