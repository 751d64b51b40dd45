"""Makes images of given latents batch by batch, with the activations behind them."""

import dataclasses
import math
from collections.abc import Iterator, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from jax.stages import Compiled

from ganspace_jax.errors import InputError
from ganspace_jax.generators import base, synthesis
from ganspace_jax.generators.base import Generator
from ganspace_jax.generators.synthesis import Synthesis
from ganspace_jax.run import Progress, Run
from ganspace_jax.sampling import batch_size, devices, layers
from ganspace_jax.sampling.latent_files import Inputs

_BUSY_IMAGES = 32  # images per device above which throughput no longer grows


def generate(
    generator: Generator,
    inputs: Inputs,
    settings: Synthesis = Synthesis(),
    activations: Sequence[str] = (),
    run: Run = Run(),
) -> Iterator[dict[str, np.ndarray]]:
    """Yields `image`, not clipped, and the named activations of each batch.

    Args:
        generator: the generator.
        inputs: latents and labels.
        settings: truncation and noise. The labels are those of `inputs`.
        activations: names of the activations.
        run: batch size and progress. By default a batch is as large as memory allows.

    Raises:
        InputError: if an activation is unknown, or if an image is not finite.
    """
    shapes = base.activation_shapes(generator)
    for name in activations:
        if name not in shapes:
            layer = layers.find(name, generator, f"--activations={name}")
            raise InputError(f"--activations={name}: is called {layer} here")
    synthesis.check(generator, dataclasses.replace(settings, label=None))
    count, mesh = len(inputs.latents), devices.own_devices()
    step = min(count, run.batch_size or _batch_that_fits(generator, settings, activations, mesh))
    step = math.ceil(step / mesh.size) * mesh.size
    keys = None
    if isinstance(settings.noise, int):
        keys = jax.random.split(synthesis.seeded_key(settings.noise, "noise_seed"), count)
    generator = generator._replace(params=devices.replicate(generator.params, mesh))
    for first in range(0, count, step):
        rows = np.minimum(np.arange(first, first + step), count - 1)  # the last row again fills the batch
        batch = dataclasses.replace(
            settings,
            label=None if inputs.label is None else devices.ship_rows(inputs.label[rows], mesh),
            noise=settings.noise if keys is None else devices.ship_rows(keys[rows], mesh),
        )
        own_latents = devices.ship_rows(inputs.latents[rows], mesh)
        image, values = synthesis.synthesize_with_activations(generator, own_latents, activations, batch)
        made = {"image": image, **values}
        made = {name: np.asarray(array, np.float32)[: count - first] for name, array in made.items()}
        synthesis.check_finite(made["image"], f"images {first} to {first + len(made['image']) - 1}")
        yield made
        run.report(Progress(min(first + step, count), count, "image"))


def compile_images(
    generator: Generator, settings: Synthesis, activations: Sequence[str], rows: int, mesh: Mesh
) -> Compiled:
    """Returns the program that makes `rows` images on each device. The devices need not
    be present.
    """
    network, count = generator.merge(), rows * mesh.size
    inputs = [jax.ShapeDtypeStruct((count, *network.latent_shape), jnp.float32)]
    inputs += [jax.ShapeDtypeStruct((count, network.num_classes), jnp.float32)] if network.num_classes else []
    latents, *label = devices.abstract(inputs, mesh, devices.SPLIT)
    generator = generator._replace(params=devices.abstract(generator.params, mesh))
    noise = "const" if isinstance(settings.noise, int) else settings.noise
    settings = dataclasses.replace(settings, label=label[0] if label else None, noise=noise)
    return synthesis.compile_synthesis(generator, latents, activations, settings)


def _batch_that_fits(generator: Generator, settings: Synthesis, activations: Sequence[str], mesh: Mesh) -> int:
    def compile_rows(rows: int) -> Compiled:
        return compile_images(generator, settings, activations, rows, mesh)

    memory = batch_size.device_memory(mesh)
    return mesh.size * batch_size.rows_that_fit(compile_rows, memory, mesh, _BUSY_IMAGES)
