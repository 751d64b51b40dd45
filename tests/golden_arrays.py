"""Reference arrays and how ours compare with them; StyleGAN2's generators from them, by
the converters.
"""

import json
import pathlib

import jax
import numpy as np

from checkpoints_convert import stylegan2_pytorch, stylegan2_rosinality, stylegan2_tensorflow
from ganspace_jax.generators import base

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
    """Largest difference relative to the largest magnitude, over the samples that the
    reference has.
    """
    ours = channels_first(ours)[: len(reference)]
    assert ours.shape == reference.shape
    return float(np.abs(ours - reference).max() / np.abs(reference).max())


def part(arrays: dict[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    """The arrays whose names begin so, under the rest of their names."""
    return {key.removeprefix(prefix): value for key, value in arrays.items() if key.startswith(prefix)}


def stylegan2_generator(arrays: dict[str, np.ndarray]) -> base.Generator:
    """The StyleGAN2 of a golden file in any of the three layouts, by that layout's
    converter.
    """
    config, parameters = arrays["config"], part(arrays, "param/")
    if config["arch"] == "stylegan2_rosinality":
        state = part(parameters, "g_ema/")
        return stylegan2_rosinality.convert({"g_ema": state, "latent_avg": parameters["latent_avg"]})
    if config["arch"] == "stylegan2_tf":
        return stylegan2_tensorflow.convert(parameters, config["G_static_kwargs"])
    source = config["generator_init_kwargs"]
    return stylegan2_pytorch.convert(parameters, source, clamps(source))


def clamps(source: dict) -> dict[str, float | None]:
    """What the layers of a StyleGAN2 say of themselves, which the arrays of a golden
    file do not hold.
    """
    clamp = source["synthesis_kwargs"]["conv_clamp"]
    return {f"synthesis.b{side}.{layer}": clamp for side in (8, 16, 32) for layer in ("conv0", "conv1", "torgb")}
