"""A StyleGAN2 of ours as the three codes' files would hold it: the converters' mappings
the other way round.
"""

import numpy as np


def as_pytorch(generator, *, flat=False):
    """(state, source, clamps); flat: where the stylegan3 repository keeps the
    arguments.
    """
    config, state = generator.merge().config, {}
    for name, array in _named(generator.params):
        if name.endswith("const") and array.ndim == 3:
            array = array.transpose(2, 0, 1)
        elif array.ndim == 4:
            array = (array[::-1, ::-1] if "conv0" in name else array).transpose(3, 2, 0, 1)
        elif array.ndim == 2 and "noise" not in name:
            array = array.T
        state[name] = array
    row = np.array(config.resample_filter[::-1], np.float32)
    stored, default = (np.outer(x, x) / x.sum() ** 2 for x in (row, np.array([1.0, 3.0, 3.0, 1.0])))
    for side, layers in _blocks(generator):
        state[f"synthesis.b{side}.resample_filter"] = stored
        for layer in layers.keys() & {"conv0", "conv1", "skip"}:
            state[f"synthesis.b{side}.{layer}.resample_filter"] = default if layer == "conv1" else stored
    synthesis = {
        "channel_base": 32768, "num_fp16_res": 4, "architecture": config.architecture, "activation": "lrelu",
        "resample_filter": list(config.resample_filter[::-1]), "use_noise": config.use_noise,
    }  # fmt: skip
    mapping = {
        "num_layers": config.mapping_layers, "layer_features": config.mapping_width, "w_avg_beta": 0.995,
        "embed_features": config.embed_width, "lr_multiplier": np.float64(config.mapping_learning_rate),
    }  # fmt: skip
    source = {
        "z_dim": config.z_dim, "c_dim": config.num_classes, "w_dim": config.w_dim, "mapping_kwargs": mapping,
        "img_resolution": 4 * 2 ** (len(config.channels) - 1), "img_channels": config.image_channels,
        **(synthesis if flat else {"synthesis_kwargs": synthesis}),
    }  # fmt: skip
    layers = sorted(
        name.rpartition(".")[0] for name in state if name.endswith(("conv0.bias", "conv1.bias", "torgb.bias"))
    )
    shortcuts = {name.rpartition(".")[0] for name in state if name.endswith("skip.weight")}
    return state, source, {**dict.fromkeys(layers, config.conv_clamp), **dict.fromkeys(shortcuts)}


def as_tensorflow(generator, *, grown=False, scopes=None):
    """(arrays, static); scopes: names of the blocks, if they are not 4x4, 8x8, ..."""
    config, params = generator.merge().config, generator.params
    mapping = params["mapping"]
    arrays = {"dlatent_avg": mapping["w_avg"], "lod": np.float32(0)}
    for layer in range(config.mapping_layers):
        arrays |= {f"mapping/Dense{layer}/{leaf}": array for leaf, array in mapping[f"fc{layer}"].items()}
    arrays |= {f"mapping/LabelEmbed/{leaf}": array for leaf, array in mapping.get("embed", {}).items()}
    if "label_concat" in mapping:
        arrays["mapping/LabelConcat/weight"] = mapping["label_concat"]
    noises = 0
    for index, (side, layers) in enumerate(_blocks(generator)):
        own = f"synthesis/{scopes[index] if scopes else f'{side}x{side}'}"
        for layer, scope in (("conv0", "Conv0_up"), ("conv1", "Conv" if side == 4 else "Conv1"), ("torgb", "ToRGB")):
            if layer not in layers:
                continue
            one = layers[layer]
            place = "synthesis/ToRGB_lod0" if grown and scope == "ToRGB" else f"{own}/{scope}"
            arrays[f"{place}/weight"], arrays[f"{place}/bias"] = one["weight"], one["bias"]
            arrays[f"{place}/mod_weight"] = one["affine"]["weight"]
            arrays[f"{place}/mod_bias"] = np.asarray(one["affine"]["bias"]) - 1
            if "noise_const" in one:
                arrays[f"{place}/noise_strength"] = one["noise_strength"]
                arrays[f"synthesis/noise{noises}"] = one["noise_const"][None, None]
                noises += 1
        if "skip" in layers:
            arrays[f"{own}/Skip/weight"] = layers["skip"]["weight"]
        if "const" in layers:
            arrays[f"{own}/Const/const"] = np.asarray(layers["const"]).transpose(2, 0, 1)[None]
    static = {
        "architecture": config.architecture, "conv_clamp": config.conv_clamp, "use_noise": config.use_noise,
        "mapping_lrmul": config.mapping_learning_rate, "normalize_latents": config.normalize_latents,
        "resample_kernel": list(config.resample_filter[::-1]), "dtype": "float32",
    }  # fmt: skip
    return {name: np.asarray(array) for name, array in arrays.items()}, static


def as_rosinality(generator):
    """{g_ema, latent_avg}."""
    params, config = generator.params, generator.merge().config
    rows = (np.array(taps[::-1]) for taps in (config.resample_filter, config.image_filter or config.resample_filter))
    blur, image_blur = ((4 * np.outer(row, row) / row.sum() ** 2).astype(np.float32) for row in rows)
    state = {"input.input": np.asarray(params["synthesis"]["b4"]["const"]).transpose(2, 0, 1)[None]}
    for layer in range(config.mapping_layers):
        one = params["mapping"][f"fc{layer}"]
        state |= {f"style.{layer + 1}.weight": one["weight"].T, f"style.{layer + 1}.bias": one["bias"]}

    def add(module, layer, *, up=False):
        kernel = layer["weight"][::-1, ::-1] if up else layer["weight"]
        state[f"{module}.conv.weight"] = kernel.transpose(3, 2, 0, 1)[None]
        state[f"{module}.conv.modulation.weight"] = layer["affine"]["weight"].T
        state[f"{module}.conv.modulation.bias"] = layer["affine"]["bias"]

    layers = [(name, block[name]) for _, block in _blocks(generator) for name in ("conv0", "conv1") if name in block]
    for number, (name, layer) in enumerate(layers):
        module = f"convs.{number - 1}" if number else "conv1"
        add(module, layer, up=name == "conv0")
        state |= {f"{module}.activate.bias": layer["bias"], f"{module}.noise.weight": layer["noise_strength"][None]}
        state[f"noises.noise_{number}"] = layer["noise_const"][None, None]
        if name == "conv0":
            state[f"{module}.conv.blur.kernel"] = blur
    for number, (_, block) in enumerate(_blocks(generator)):
        module = f"to_rgbs.{number - 1}" if number else "to_rgb1"
        add(module, block["torgb"])
        state[f"{module}.bias"] = block["torgb"]["bias"][None, :, None, None]
        if number:
            state[f"{module}.upsample.kernel"] = image_blur
    return {
        "g_ema": {name: np.asarray(array) for name, array in state.items()},
        "latent_avg": np.asarray(params["mapping"]["w_avg"]),
    }


def _named(params, prefix=""):
    """Dotted name -> array."""
    for name, value in params.items():
        if isinstance(value, dict):
            yield from _named(value, f"{prefix}{name}.")
        else:
            yield prefix + name, np.asarray(value)


def _blocks(generator):
    """(side, layers), the smallest first."""
    return sorted((int(name[1:]), layers) for name, layers in generator.params["synthesis"].items())
