"""Open question on Plumerault et al. 2020: whether a search for the latent of a shifted
image needs targets between, and where it starts.

The targets are generated images, shifted by 8 pixels. With and without targets between,
a search takes the same number of steps in all. experiments.trajectory_questions answers
the other open questions.
"""

from collections.abc import Mapping, Sequence

from ganspace_jax.claims.findings import Figure, Finding, Table, Verdict
from ganspace_jax.claims.subjects import Subjects
from ganspace_jax.measures import answers
from ganspace_jax.measures.answers import Answer
from ganspace_jax.run import Run
from ganspace_jax.sampling import scored_images
from ganspace_jax.scenes import probe, trajectory_questions

QUESTION = "Does a search for the latents of shifted images need the recursion?"
FEW, MANY = "20", "100"  # steps in all
_PSNR = "median PSNR (dB)"
_MOST_IMAGES = 24


def find(subjects: Subjects, *, num_images: int = 256, seed: int = 0, run: Run = Run()) -> Finding:
    """Returns the answer for both generators.

    Args:
        subjects: the generators.
        num_images: eight times the number of images that are shifted; at most 24 are.
        seed: seed of the images.
        run: progress and stopping.

    Raises:
        Interrupted: if run.should_stop returned True.
    """
    count = max(4, min(_MOST_IMAGES, num_images // 8))
    reader = probe.load(probe.SHIPPED)
    figures, parts, psnr = [], [], {}
    for one in subjects:
        asked = trajectory_questions.Subject(one.generator, reader, None, None, count, 0, seed)
        scored_images.check_stop(run)
        rows = trajectory_questions.start(asked, run, (int(FEW), int(MANY)))
        psnr[one.name] = by_search(rows)
        figures += [
            one_figure._replace(name=f"{one.name}: median PSNR in dB, {name}")
            for name, one_figure in psnr[one.name].items()
        ]
        parts.append(Table(f"{one.name}: {count} images", *answers.cells(rows)))
    verdict, answer = conclude(psnr)
    return Finding(QUESTION, verdict, answer, figures, parts)


def by_search(rows: Sequence[Answer]) -> dict[str, Figure]:
    """Returns the PSNR of each search by its name."""
    return {
        f"{one.case['start']} latent, {one.case['targets']}, {one.case['steps']} steps": Figure("", *one.figures[_PSNR])
        for one in rows
    }


def conclude(psnr: Mapping[str, Mapping[str, Figure]]) -> tuple[Verdict, str]:
    """Returns the verdict and the answer.

    Args:
        psnr: figures of `by_search`, by generator.
    """

    def gains(steps: str) -> list[bool]:
        """Whether the recursion from the own latent clearly comes nearer."""
        pairs = [[one[f"own latent, {way}, {steps} steps"] for way in ("recursion", "direct")] for one in psnr.values()]
        return [recursion.low > direct.high for recursion, direct in pairs]

    few, many = gains(FEW), gains(MANY)
    verdict: Verdict = "yes" if all(many) else "partly" if any(few + many) else "no"
    words = [
        f"From the own latent of an image of {name}, {steps} steps reach "
        f"{one[f'own latent, recursion, {steps} steps'].value:.1f} dB with the recursion and "
        f"{one[f'own latent, direct, {steps} steps'].value:.1f} dB without."
        for name, one in psnr.items()
        for steps in (FEW, MANY)
    ]
    return verdict, " ".join(words)
