"""Recognizes networks that are no generators, by the names of their parameters.

Each rule lists names of parameters that published codes use. A network fits a rule if
it has a parameter for each of the rule's patterns.
"""

import itertools
import re
from collections.abc import Sequence
from typing import NamedTuple

from checkpoints_convert.networks import Network

_GENERATOR = "give the file with the generator, such as g_ema or G_ema"
_MIN_ARRAYS = 3  # a network of fewer arrays is not what a file is for


class Other(NamedTuple):
    """A kind of network that is no generator.

    Attributes:
        words: Words for messages, with their article.
        advice: What to give instead.
    """

    words: str
    advice: str


_DISCRIMINATOR = Other("a discriminator without its generator", _GENERATOR)
_ENCODER = Other("an encoder without its generator", _GENERATOR)
_ANOTHER = "give a GAN's generator"
_CLASSIFIER = Other("a classifier's network, not a GAN generator", _ANOTHER)
_DIFFUSION = Other("a diffusion model, not a GAN generator", _ANOTHER)
_AUTOENCODER = Other("an autoencoder, not a GAN generator", _ANOTHER)
_FACES = Other("a network that recognizes faces, not a GAN generator", _ANOTHER)
_LANGUAGE = Other("a language model or a text encoder, not a GAN generator", _ANOTHER)
_ADAPTER = Other("an adapter (LoRA) of a diffusion model, not a GAN generator", _ANOTHER)
_PERCEPTUAL = Other("a perceptual distance (LPIPS), not a GAN generator", _ANOTHER)

# Patterns that must each match the beginning of a name. The first rule that fits holds.
_RULES: tuple[tuple[Other, tuple[str, ...]], ...] = (
    (_ADAPTER, (r"(lora_|.*\.lora_(down|up|A|B|linear_layer)\b)",)),
    (_DIFFUSION, (r"model\.diffusion_model\.",)),
    (_DIFFUSION, (r"(unet\.)?(time_embed|time_embedding)\.", r"(unet\.)?(input_blocks|down_blocks|output_blocks)\.")),
    (_DIFFUSION, (r"(temb|time_mlp|t_embedder)\.", r"(down|downs|blocks)\.0\.")),
    (_DIFFUSION, (r"(transformer_blocks|double_blocks|joint_blocks)\.0\.", r"(time_text_embed|time_in|t_embedder)\b")),
    (_LANGUAGE, (r"(model\.embed_tokens|.*word_embeddings|(transformer\.)?wte|text_model\.embeddings|token_embd)\b",)),
    (_LANGUAGE, (r"token_embedding\.weight", r"visual\.")),
    (_PERCEPTUAL, (r"(lin0|lins\.0)\.(model\.)?1\.weight",)),
    (_ENCODER, (r"encoder\.(input_layer|styles|body|style_count|coarse|convs|layers?)\b",)),
    (_ENCODER, (r"input_layer\.0\.weight", r"styles\.0\.")),
    (_FACES, (r"input_layer\.0\.weight", r"body\.0\.", r"output_layer\.")),
    (_ENCODER, (r"input_layer\.0\.weight", r"body\.0\.")),
    (_AUTOENCODER, (r"(quantize|quantizer|codebook)\.embedding\b|vq\.|(post_)?quant_conv\.",)),
    (_AUTOENCODER, (r"encoder\.conv_in\.", r"decoder\.conv_in\.")),
    (_CLASSIFIER, (r"Conv2d_1a_3x3\.conv\.weight",)),
    (_CLASSIFIER, (r"features\.0\.weight", r"classifier\.\d")),
    (_CLASSIFIER, (r"conv1\.weight", r"layer1\.0\.conv1\.weight")),
    (_CLASSIFIER, (r"(vit\.)?(cls_token|patch_embed)\b", r"(blocks|encoder)\.")),
    (Other("VGG's layers, not a GAN generator", _ANOTHER), (r"features\.0\.weight", r"features\.2\.weight")),
    (_DISCRIMINATOR, (r"(discriminator|netD|D)\.",)),
    (_DISCRIMINATOR, (r"final_conv\.0\.weight", r"final_linear\.\d")),  # rosinality
    (_DISCRIMINATOR, (r"b4\.(out|fc)\.weight", r"b\d+\.(conv0|fromrgb)\.weight")),  # NVIDIA's PyTorch codes
    (_DISCRIMINATOR, (r"4x4/Dense[01]?/weight", r"(Output|FromRGB_lod0|\d+x\d+/FromRGB)/weight")),  # and TensorFlow's
    (_DISCRIMINATOR, (r"(layer\d+|input\d+)\.weight", r"input0\.weight")),  # genforce
    (_DISCRIMINATOR, (r"blocks\.0\.conv_res\.weight", r"to_logit\.")),  # lucidrains
    (_DISCRIMINATOR, (r"blocks\.0\.0\.conv1\.(weight|u0)", r"(linear|embed)\.(weight|u0)")),  # BigGAN
    (_DISCRIMINATOR, (r"(from_?rgb|fromRGB|mini_discs|feature_network)\b",)),
)  # fmt: skip

# Keys of a training state, by the network that they name.
_KEYS = (
    (_DISCRIMINATOR, re.compile(r"(.*\.)?(d|D|netD|disc|discriminator|D_state_dict|critic)")),
    (_ENCODER, re.compile(r"(.*\.)?(e|E|netE|enc|encoder)")),
)
_GENERATOR_PARTS = re.compile(
    r"((G|GE|gen|netG|generator)\.|input\.input$|const$|synthesis\.|.*synthesis/|mapping\.|g_synthesis\.|.*to_?rgbs?\b|.*ToRGB|decoder\.style|output_layer)"
)


def recognize(networks: Sequence[Network]) -> Other | None:
    """Returns what the networks of a file are, None if one of them may be a generator.

    The largest network determines the answer.
    """
    large = [network for network in networks if len(network.arrays) >= _MIN_ARRAYS]
    large = [network for network in large if not _is_within(network, large)]
    known = [_of_network(network) for network in large]
    if not known or None in known:
        return None
    return known[max(range(len(large)), key=lambda index: len(large[index].arrays))]


def _is_within(network: Network, others: Sequence[Network]) -> bool:
    """Returns whether a module is a block of one of the networks that are known.

    The blocks of a whole module are networks by themselves; see module_networks.
    """
    return bool(network.class_name) and any(
        other is not network
        and network.name.startswith(f"{other.name}." if other.name else "")
        and _of_network(other) is not None
        for other in others
    )


def _of_network(network: Network) -> Other | None:
    names = list(network.arrays)
    for other, patterns in _RULES:
        if all(any(re.match(pattern, name) for name in names) for pattern in patterns):
            is_split = other in (_DISCRIMINATOR, _ENCODER) and any(_GENERATOR_PARTS.match(name) for name in names)
            return None if is_split else other
    if _is_convolutional_discriminator(network):
        return _DISCRIMINATOR
    return next((other for other, key in _KEYS if key.fullmatch(network.name)), None)


def _is_convolutional_discriminator(network: Network) -> bool:
    """Returns whether kernels lead from an image to one number, as in DCGAN's
    discriminator.

    A kernel [outputs, inputs, height, width] has at least 9 weights per pair.
    """
    kernels = [
        array
        for name, array in network.arrays.items()
        if re.search(r"(^|\.)weight(_orig|_v)?$", name) and array.ndim == 4 and array.shape[2] > 2
    ]
    chained = all(first.shape[0] == second.shape[1] for first, second in itertools.pairwise(kernels))
    return len(kernels) > 2 and chained and kernels[0].shape[1] in (1, 3, 4) and kernels[-1].shape[0] == 1
