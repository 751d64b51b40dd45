"""Reference arrays -> generators, for parity tests: names and layouts of the reference to this project's."""

import json
import pathlib
import re

import jax
import jax.numpy as jnp
import numpy as np

from ganspace_jax.generators import base, stylegan2, zoo

GOLDEN = pathlib.Path(__file__).parent / "golden"


def load(name: str) -> dict[str, np.ndarray]:
    """All arrays of a golden file, and its configuration under "config"."""
    with np.load(GOLDEN / f"{name}.npz") as file:
        arrays = {key: file[key] for key in file.files}
    return {**arrays, "config": json.loads(str(arrays["config"]))}


def channels_first(x: jax.Array) -> np.ndarray:
    """Ours to the reference's layout."""
    return np.moveaxis(np.asarray(x), -1, 1) if x.ndim == 4 else np.asarray(x)


def error(ours: jax.Array, reference: np.ndarray) -> float:
    """Largest difference relative to the largest magnitude, over the samples that the reference has."""
    ours = channels_first(ours)[: len(reference)]
    assert ours.shape == reference.shape
    return float(np.abs(ours - reference).max() / np.abs(reference).max())


def stylegan2_generator(arrays: dict[str, np.ndarray]) -> base.SplitGenerator:
    """The StyleGAN2 of a golden file in any of the three layouts."""
    config = arrays["config"]
    if config["arch"] == "stylegan2_rosinality":
        return _rosinality(arrays)
    kwargs = config.get("generator_init_kwargs") or config["torch_generator_init_kwargs"]
    prefix = "param/" if "generator_init_kwargs" in config else "param_torch/"
    synthesis, sizes = kwargs["synthesis_kwargs"], [4 * 2**i for i in range(9)]
    ours = stylegan2.Config(
        z_dim=kwargs["z_dim"],
        w_dim=kwargs["w_dim"],
        channels=tuple(
            min(synthesis["channel_base"] // r, synthesis["channel_max"])
            for r in sizes
            if r <= kwargs["img_resolution"]
        ),
        num_classes=kwargs["c_dim"],
        mapping_layers=kwargs["mapping_kwargs"]["num_layers"],
        conv_clamp=synthesis["conv_clamp"],
    )
    return _fill(ours, lambda name: arrays[prefix + name])


def _rosinality(arrays: dict[str, np.ndarray]) -> base.SplitGenerator:
    config = arrays["config"]
    channels = tuple(config["channels"][str(r)] for r in (4, 8, 16, 32))
    dim = config["style_dim"]

    def fetch(name: str) -> np.ndarray:
        if name.endswith("noise_const"):  # this layout keeps them apart, under the same numbers as the mapping file
            size, layer = re.fullmatch(r"synthesis\.b(\d+)\.conv(\d)\.noise_const", name).groups()
            index = 0 if size == "4" else 2 * int(np.log2(int(size))) - 5 + int(layer)
            found = [arrays[k] for k in arrays if k.endswith(f"noise_{index}")]
            return found[0][0, 0]
        value = arrays["param/" + rosinality_name(name)]
        return value.reshape(-1) if name.endswith("bias") else value.reshape(value.shape[value.ndim == 5 :])

    return _fill(stylegan2.Config(z_dim=dim, w_dim=dim, channels=channels), fetch)


def rosinality_name(name: str) -> str:
    """synthesis.b8.conv0.affine.weight -> g_ema/convs.0.conv.modulation.weight, and so on."""
    if name == "mapping.w_avg":
        return "latent_avg"
    if match := re.fullmatch(r"mapping\.fc(\d+)\.(\w+)", name):
        return f"g_ema/style.{int(match[1]) + 1}.{match[2]}"
    size, layer, rest = re.fullmatch(r"synthesis\.b(\d+)\.(const|conv0|conv1|torgb)\.?(.*)", name).groups()
    block = int(np.log2(int(size))) - 3
    if layer == "const":
        return "g_ema/input.input"
    if layer == "torgb":
        module = "to_rgb1" if block < 0 else f"to_rgbs.{block}"
        leaf = {"weight": "conv.weight", "bias": "bias"}.get(rest)
    else:
        module = "conv1" if block < 0 else f"convs.{2 * block + int(layer[-1])}"
        leaf = {"weight": "conv.weight", "bias": "activate.bias", "noise_strength": "noise.weight"}.get(rest)
    return f"g_ema/{module}.{leaf or rest.replace('affine', 'conv.modulation')}"


def _fill(config: stylegan2.Config, fetch) -> base.SplitGenerator:
    abstract = zoo.abstract_generator("stylegan2", config)
    leaves, structure = jax.tree_util.tree_flatten_with_path(abstract.params)
    arrays = []
    for path, wanted in leaves:
        name = ".".join(key.key for key in path)
        array = _to_our_layout(name, fetch(name))
        arrays.append(jnp.asarray(array.reshape(()) if wanted.shape == () else array))
        assert arrays[-1].shape == wanted.shape, (name, array.shape, wanted.shape)
    return abstract._replace(params=jax.tree.unflatten(structure, arrays))


def _to_our_layout(name: str, array: np.ndarray) -> np.ndarray:
    if name.endswith(".const"):
        return np.moveaxis(array.reshape(array.shape[-3:]), 0, -1)
    if array.ndim == 4:
        kernel = array.transpose(2, 3, 1, 0)
        return kernel[::-1, ::-1] if ".conv0." in name else kernel
    return array.T if name.endswith("weight") and array.ndim == 2 else array
