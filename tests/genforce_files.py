"""Generators of ours as genforce's files hold them: the converters' mappings the other
way round.
"""

import numpy as np


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
