"""Images of given latents, and what the generator holds on the way: what experiments.generate writes."""

import os
from collections.abc import Callable, Iterator, Sequence
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from jax.stages import Compiled

from ganspace_jax.errors import InputError
from ganspace_jax.files.inert import numpy_files
from ganspace_jax.generators import base
from ganspace_jax.sampling import batch_size as batch_sizes
from ganspace_jax.sampling import devices as device_meshes
from ganspace_jax.sampling import latents
from ganspace_jax.sampling.layers import check_truncation
from ganspace_jax.shapes import Float

NoiseMode = Literal["const", "none", "random"]
_BUSY = 32  # images on a device beyond which nothing becomes faster


class Inputs(NamedTuple):
    """What images are made of. latents: one a layer; w: of each sample where it is one for all layers; names: of the files."""

    latents: Float[np.ndarray, "n layers d"]
    w: Float[np.ndarray, "n d"] | None
    label: Float[np.ndarray, "n classes"] | None
    names: list[str]


class Settings(NamedTuple):
    """truncation: see the generator's call. seed: of random noise. activations: names of those to return."""

    truncation_psi: float = 1.0
    truncation_cutoff: int | None = None
    noise_mode: NoiseMode = "const"
    seed: int = 0
    activations: Sequence[str] = ()


def from_seeds(generator: base.SplitGenerator, seeds: list[int], label: latents.Label, truncation_psi: float) -> Inputs:
    """The inputs of published seeds; label: a class, or "all" for each class in turn."""
    module = generator.merge()
    z = latents.from_seeds(seeds, module.z_dim, module.prior, truncation_psi)
    weights = None
    if module.num_classes:
        classes = np.arange(len(seeds)) % module.num_classes if label == "all" else np.full(len(seeds), label)
        weights = np.eye(module.num_classes, dtype=np.float32)[classes]
    return _map(generator, z, weights, [f"seed{seed:04d}" for seed in seeds])


def from_file(generator: base.SplitGenerator, path: str | os.PathLike[str], label: latents.Label) -> Inputs:
    """The inputs of an .npz with `z` [n, z_dim] or `ws` [n, layers, latent_dim], and `label` [n, classes] where it is needed.

    label: used for all samples where the file has none. Raises InputError for what does not fit the generator.
    """
    module, arrays = generator.merge(), _read(path)
    if ("z" in arrays) == ("ws" in arrays):
        raise InputError(
            f"--latents={path}: must hold z or ws, and not both; it holds {', '.join(arrays) or 'nothing'}"
        )
    name, shape = ("z", (module.z_dim,)) if "z" in arrays else ("ws", module.latent_shape)
    given = arrays[name]
    if given.shape[1:] != shape or not len(given):
        raise InputError(
            f"--latents={path}: {name} has shape {given.shape}, this generator asks for [n, {_joined(shape)}]"
        )
    weights = arrays.get("label")
    if weights is None and module.num_classes:
        if not isinstance(label, int):
            raise InputError(f"--latents={path}: holds no label; this generator is conditional, give --label as well")
        weights = np.tile(np.eye(module.num_classes, dtype=np.float32)[label], (len(given), 1))
    wanted = (len(given), module.num_classes)
    if weights is not None and (weights.shape != wanted or not module.num_classes):
        raise InputError(f"--latents={path}: label has shape {weights.shape}, this generator asks for {wanted}")
    names = [f"latent{i:04d}" for i in range(len(given))]
    return _map(generator, given, weights, names) if name == "z" else Inputs(given, None, weights, names)


def generate(
    generator: base.SplitGenerator,
    inputs: Inputs,
    settings: Settings,
    *,
    batch_size: int | None = None,
    on_progress: Callable[[int], object] = lambda count: None,
) -> Iterator[dict[str, np.ndarray]]:
    """Batch by batch: `image`, before any clipping, and the activations asked for; raises InputError for unknown names.

    batch_size: images a step, shared by all devices; None for as many as fit into their memory, and are of use.
    """
    shapes = base.activation_shapes(generator)
    for name in settings.activations:
        if name not in shapes:
            raise InputError(f"--activations={name}: this generator has no such layer; it has: {', '.join(shapes)}")
    check_truncation(generator, settings.truncation_psi, settings.truncation_cutoff)
    count, devices = len(inputs.latents), device_meshes.own_devices()
    batch_size = min(count, batch_size or _batch_that_fits(generator, settings, devices))
    batch_size = -(-batch_size // devices.size) * devices.size
    keys = jax.random.split(jax.random.key(settings.seed), count)
    generator = generator._replace(params=device_meshes.replicate(generator.params, devices))
    for first in range(0, count, batch_size):
        rows = np.minimum(np.arange(first, first + batch_size), count - 1)  # the last one again, to fill the batch
        image, activations = base.synthesize_with_activations(
            generator,
            device_meshes.spread(inputs.latents[rows], devices),
            settings.activations,
            label=None if inputs.label is None else device_meshes.spread(inputs.label[rows], devices),
            noise={"const": "const", "none": None, "random": device_meshes.spread(keys[rows], devices)}[
                settings.noise_mode
            ],
            truncation_psi=settings.truncation_psi,
            truncation_cutoff=settings.truncation_cutoff,
        )
        made = {"image": image, **activations}
        yield {name: np.asarray(array, np.float32)[: count - first] for name, array in made.items()}
        on_progress(min(batch_size, count - first))


def compile_synthesis(generator: base.SplitGenerator, settings: Settings, rows: int, devices: Mesh) -> Compiled:
    """The program that makes so many images on each device, compiled ahead of time; the devices need not be there."""
    module, count = generator.merge(), rows * devices.size
    inputs = [jax.ShapeDtypeStruct((count, *module.latent_shape), jnp.float32)]
    inputs += [jax.ShapeDtypeStruct((count, module.num_classes), jnp.float32)] if module.num_classes else []
    latents, *label = device_meshes.abstract(inputs, devices, device_meshes.SPLIT)
    generator = generator._replace(params=device_meshes.abstract(generator.params, devices))
    return base.compile_synthesis(
        generator,
        latents,
        settings.activations,
        label=label[0] if label else None,
        truncation_psi=settings.truncation_psi,
        truncation_cutoff=settings.truncation_cutoff,
    )


def _batch_that_fits(generator: base.SplitGenerator, settings: Settings, devices: Mesh) -> int:
    compile_rows = lambda rows: compile_synthesis(generator, settings, rows, devices)  # noqa: E731
    return devices.size * batch_sizes.rows_that_fit(compile_rows, batch_sizes.of_device(devices), devices, _BUSY)


def _map(generator: base.SplitGenerator, z: np.ndarray, label: np.ndarray | None, names: list[str]) -> Inputs:
    mapped = np.asarray(base.map_latents(generator, jnp.asarray(z), None if label is None else jnp.asarray(label)))
    return Inputs(mapped, mapped[:, 0] if generator.merge().has_mapping else None, label, names)


def _read(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    try:
        found = numpy_files.read(path)
    except FileNotFoundError:
        raise InputError(f"--latents={path}: no such file") from None
    except InputError as error:
        raise InputError(f"--latents={error}") from None
    if isinstance(found, np.ndarray):
        raise InputError(f"--latents={path}: is one array, an .npy; wanted is an .npz with z or ws")
    arrays = {}
    for name, array in found.items():
        if array.dtype.kind not in "fiub":
            raise InputError(f"--latents={path}: not an .npz of numbers: {name} is of the type {array.dtype}")
        arrays[name] = array.astype(np.float32)
        if not np.isfinite(arrays[name]).all():
            raise InputError(f"--latents={path}: {name} holds NaN or infinity")
    return arrays


def _joined(shape: tuple[int, ...]) -> str:
    return ", ".join(map(str, shape))
