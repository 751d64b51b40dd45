"""What a sweep is given: its samples, how it runs, and what it computes from each
layer.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol, runtime_checkable

import jax
from jax.sharding import Mesh

from ganspace_jax.files.resume import NO_RESUME, Resume
from ganspace_jax.generators.base import Generator
from ganspace_jax.run import Run
from ganspace_jax.sampling import layers
from ganspace_jax.sampling.layers import LayerSpec
from ganspace_jax.sampling.sample_groups import NUM_GROUPS

Update = Callable[..., Any]  # (state, activation [n, d], latent [n, l], weight [n], *operands) -> state


@runtime_checkable
class Statistics(Protocol):
    """A module of sufficient statistics, such as moments."""

    def merge(self, a: Any, b: Any, /) -> Any: ...

    def to_float64(self, state: Any, /) -> Any: ...


class Samples(NamedTuple):
    """Samples 0 to num_samples - 1 of a seed: equal in every sweep, for every batch
    size and number of devices.

    Attributes:
        generator: the generator.
        spec: the layer that is read, resolved for the generator.
        num_samples: number of samples.
        seed: seed of the samples.
    """

    generator: Generator
    spec: LayerSpec
    num_samples: int
    seed: int

    def sizes(self) -> tuple[int, int]:
        """Returns (d, l): the sizes of the layer and of the latent beside it."""
        latent = self.generator.z_dim if self.spec.latent_space == "z" else self.generator.latent_size
        return layers.layer_size(self.generator, str(self.spec.layer)), 0 if self.spec.is_latent else latent


class Execution(NamedTuple):
    """How sweeps run.

    Attributes:
        mesh: devices of this process.
        batch_size: samples per step, over all devices of all processes.
        run: how progress is reported.
        resume: the record of finished and unfinished sweeps.
        note: the note of each progress report.
    """

    mesh: Mesh
    batch_size: int
    run: Run = Run()
    resume: Resume = NO_RESUME
    note: str = ""

    def rows_per_device(self, num_samples: int) -> int:
        """Returns the rows of a step on each device: no more than a jackknife group
        has.
        """
        rows = min(self.batch_size, math.ceil(num_samples / NUM_GROUPS))
        return math.ceil(rows / (self.mesh.size * jax.process_count()))


class Step(NamedTuple):
    """What a step of a sweep computes.

    Attributes:
        update: pure function without closures, static under jit; rows of weight 0 are
            padding.
        state: state before the first sample; arrays or shapes.
        operands: further arguments of `update`.
    """

    update: Update
    state: Any
    operands: tuple[Any, ...] = ()


class Part(NamedTuple):
    """The part of one layer in a sweep.

    The parts of one sweep differ in the layer, and in what they compute, only.

    Attributes:
        samples: the samples, with the layer.
        step: what is computed from them.
    """

    samples: Samples
    step: Step
