"""The shipped generators, on which claims are tested, with their components."""

from typing import NamedTuple

from ganspace_jax.directions.components import Components
from ganspace_jax.generators import zoo
from ganspace_jax.generators.base import Generator
from ganspace_jax.measures.scorers import Scorer
from ganspace_jax.methods import decomposition
from ganspace_jax.methods.decomposition import Decomposition
from ganspace_jax.run import Run
from ganspace_jax.sampling import latent_prior
from ganspace_jax.sampling.latent_prior import LatentPrior
from ganspace_jax.scenes import probe

NUM_COMPONENTS = 20


class Subject(NamedTuple):
    """A generator with its principal components, as GANSpace finds them.

    Attributes:
        name: name of the generator.
        generator: the generator.
        scorer: reader of the factors, the same for all subjects.
        components: components of w, or of gen_z over all classes.
        prior: mean and covariance of the latent that edits move.
    """

    name: str
    generator: Generator
    scorer: Scorer
    components: Components
    prior: LatentPrior


class Subjects(NamedTuple):
    """The two shipped generators.

    Attributes:
        stylegan2: the generator with w.
        biggan: the generator with classes and without w.
    """

    stylegan2: Subject
    biggan: Subject


def load(*, num_samples: int = 20_000, seed: int = 0, run: Run = Run()) -> Subjects:
    """Returns the shipped generators with the components of random samples.

    Args:
        num_samples: number of samples of each decomposition.
        seed: seed of the samples.
        run: batch size, progress and stopping.

    Raises:
        Interrupted: if run.should_stop returned True.
    """
    scorer = probe.scorer(probe.load(probe.SHIPPED))
    settings = {"num_samples": num_samples, "seed": seed, "run": run}
    names = ("stylegan2-scenes", "biggan-deep-scenes")
    return Subjects(*(of_generator(name, zoo.load(name), scorer, **settings) for name in names))


def of_generator(
    name: str, generator: Generator, scorer: Scorer, *, num_samples: int = 20_000, seed: int = 0, run: Run = Run()
) -> Subject:
    """Returns a generator with its components: those of w, or of gen_z without a w.

    Args:
        name: name of the generator in figures.
        generator: the generator.
        scorer: reader of the factors in its images.
        num_samples: number of samples of the decomposition.
        seed: seed of the samples.
        run: batch size, progress and stopping.

    Raises:
        Interrupted: if run.should_stop returned True.
    """
    layer, label = (None, None) if generator.has_mapping else ("gen_z", "all")
    spec = Decomposition(layer, label=label, num_samples=num_samples, num_components=NUM_COMPONENTS, seed=seed)
    found = decomposition.decompose(generator, spec, run)
    return Subject(name, generator, scorer, found, latent_prior.estimate(generator, seed=seed))
