"""Generators of ours, and of the official codes, as genforce's files hold them."""

import math
import re

import numpy as np

_MODULES = {"Const": 0, "Conv0_up": 0, "Conv0": 0, "Dense": 0, "Conv": 1, "Conv1": 1}
_LEAVES = {"Noise/weight": "apply_noise.weight", "StyleMod/weight": "style.weight", "StyleMod/bias": "style.bias"}
_INTERFACEGAN = (
    (r"(mapping\.dense\d+)\.weight", r"\1.linear.weight"),
    (r"(mapping\.dense\d+)\.bias", r"\1.wscale.bias"),
    (r"(synthesis\.layer\d+)\.style\.weight", r"\1.epilogue.style_mod.dense.linear.weight"),
    (r"(synthesis\.layer\d+)\.style\.bias", r"\1.epilogue.style_mod.dense.wscale.bias"),
    (r"(synthesis\.layer\d+)\.(bias|apply_noise\..*)", r"\1.epilogue.\2"),
    (r"(synthesis\.layer\d+)\.const", r"\1.first_layer"),
    (r"(synthesis\.(?:layer|output)\d+)\.weight", r"\1.conv.weight"),
)


def as_stylegan2(generator):
    """Returns the state dict of a StyleGAN2 in the layout of genforce/genforce."""
    config, params = generator.merge().config, generator.params
    state = _mapping(params["mapping"], "fc")
    blocks = sorted((int(name[1:]), block) for name, block in params["synthesis"].items())
    state["synthesis.early_layer.const"] = np.asarray(blocks[0][1]["const"]).transpose(2, 0, 1)[None]
    for index, (_, block) in enumerate(blocks):
        if index:
            _add_modulated(state, f"layer{2 * index - 1}", block["conv0"])
            state[f"synthesis.layer{2 * index - 1}.filter.kernel"] = _kernel(config.resample_filter)
        _add_modulated(state, f"layer{2 * index}", block["conv1"])
        if "torgb" in block:
            _add_modulated(state, f"output{index}", block["torgb"])
    if config.architecture == "skip":
        state["synthesis.upsample.kernel"] = _kernel(config.image_filter or config.resample_filter)
    return {name: np.asarray(array) for name, array in state.items()}


def _mapping(mapping, layers):
    state = {"truncation.w_avg": mapping["w_avg"]}
    for name in mapping:
        if name.startswith(layers):
            module = f"mapping.dense{name.removeprefix(layers)}"
            state |= {f"{module}.weight": mapping[name]["weight"].T, f"{module}.bias": mapping[name]["bias"]}
    if "label_concat" in mapping:
        state["mapping.label_weight"] = mapping["label_concat"]
    if "embed" in mapping:
        state["mapping.LabelEmbed.weight"] = mapping["embed"]["weight"].T
        state["mapping.LabelEmbed.bias"] = mapping["embed"]["bias"]
    return state


def _add_modulated(state, module, layer):
    module = f"synthesis.{module}"
    state[f"{module}.weight"] = layer["weight"].transpose(3, 2, 0, 1)
    state[f"{module}.bias"] = layer["bias"]
    state[f"{module}.style.weight"] = layer["affine"]["weight"].T
    state[f"{module}.style.bias"] = np.asarray(layer["affine"]["bias"]) - 1
    if "noise_const" in layer:
        state[f"{module}.noise"] = layer["noise_const"][None, None]
        state[f"{module}.noise_strength"] = layer["noise_strength"]


def _kernel(taps):
    return (4 * np.outer(taps, taps) / np.sum(taps) ** 2)[None, None].astype(np.float32)


def stylegan_from_tensorflow(arrays):
    """Returns the official code's StyleGAN as genforce/genforce converts it."""
    state = {}
    for name, array in arrays.items():
        if match := re.fullmatch(r"mapping/Dense(\d+)/(\w+)", name):
            state[f"mapping.dense{match[1]}.{match[2]}"] = array.T
        elif match := re.fullmatch(r"synthesis/noise(\d+)", name):
            state[f"synthesis.layer{match[1]}.apply_noise.noise"] = array
        elif match := re.fullmatch(r"synthesis/(\d+)x\d+/(\w+)/(.+)", name):
            layer = f"synthesis.layer{2 * _block(match[1]) + _MODULES[match[2]]}"
            state[f"{layer}.{_LEAVES.get(match[3], match[3])}"] = _torch_layout(array)
            if match[2] == "Conv0_up" and match[3] == "bias":
                kernel = np.outer([1, 2, 1], [1, 2, 1]).astype(np.float32) / 16
                state[f"{layer}.blur.kernel"] = np.tile(kernel, (len(array), 1, 1, 1))
    for name, array in _outputs(arrays, "synthesis/").items():
        state[f"synthesis.{name}"] = array
    names = {
        "dlatent_avg": "truncation.w_avg",
        "lod": "synthesis.lod",
        "mapping/LabelConcat/weight": "mapping.label_weight",
    }
    return {**state, **{theirs: arrays[ours] for ours, theirs in names.items() if ours in arrays}}


def as_interfacegan(state, *, fused_from):
    """Returns a StyleGAN with interfacegan's names, fused from this side on."""
    older = {"truncation.truncation": np.ones((1, 4, 1), np.float32)}
    for name, array in state.items():
        match = re.fullmatch(r"synthesis\.layer(\d+)\.weight", name)
        if match and int(match[1]) % 2 == 0 and 4 * 2 ** (int(match[1]) // 2) >= fused_from:
            older[name] = array.transpose(2, 3, 1, 0)
            continue
        for pattern, replacement in _INTERFACEGAN:
            if re.fullmatch(pattern, name):
                name = re.sub(pattern, replacement, name)
                break
        older[name] = array
    return older


def progan_from_tensorflow(arrays):
    """Returns the official code's ProGAN as genforce/genforce has it, not fused."""
    state = {"lod": arrays["lod"], **_outputs(arrays, "")}
    for name, array in arrays.items():
        if match := re.fullmatch(r"(\d+)x\d+/(\w+)/(\w+)", name):
            if match[2] == "Dense" and match[3] == "weight":
                array = array.reshape(len(array), -1, 4, 4).transpose(1, 0, 2, 3)[..., ::-1, ::-1]
            elif match[2] == "Conv0_up" and match[3] == "weight":  # the kernel is rotated, its channels swapped
                array = array.transpose(2, 3, 0, 1)[..., ::-1, ::-1]
            else:
                array = _torch_layout(array)
            state[f"layer{2 * _block(match[1]) + _MODULES[match[2]]}.{match[3]}"] = array
    return state


def _outputs(arrays, scope):
    levels = [int(match[1]) for name in arrays if (match := re.fullmatch(rf"{scope}ToRGB_lod(\d+)/bias", name))]
    return {
        f"output{max(levels) - level}.{leaf}": _torch_layout(arrays[f"{scope}ToRGB_lod{level}/{leaf}"])
        for level in levels
        for leaf in ("weight", "bias")
    }


def _torch_layout(array):
    if array.ndim == 4:
        return array if array.shape[0] == 1 and array.shape[2:] == (4, 4) else array.transpose(3, 2, 0, 1)
    return array.T


def _block(side):
    return int(math.log2(int(side) // 4))
