"""Runs the computations of several layers side by side, so that they share sweeps.

Each computation yields the sweeps that it needs next. Sweeps over the same samples
become one sweep, in which every batch passes the network once. A computation that needs
no more sweeps than the others waits for them before its last sweep.
"""

import itertools
from collections.abc import Sequence
from typing import Any

import jax

from ganspace_jax.methods.estimators.estimate import Estimate, Estimation, Sweeps
from ganspace_jax.sampling import sweeps
from ganspace_jax.sampling.sweep_parts import Execution, Part, Samples

_SHORT = 10_000  # samples of a sweep that is cheaper than a new program


def run(estimations: Sequence[tuple[Samples, Estimation]], execution: Execution) -> list[Estimate]:
    """Returns the estimates of several layers, in their order.

    One layer alone gives the same bits as if its estimator swept by itself.

    Args:
        estimations: samples and computation of each layer. The samples differ in the
            layer only.
        execution: how the sweeps run. An interrupted run resumes with the states of all
            layers, because the order of the sweeps follows from their results.
    """
    finished: dict[int, Estimate] = {}
    waiting: dict[int, Sweeps] = {}
    latest: dict[bool, dict[int, Sweeps]] = {}  # the latest sweeps over groups (True), and single ones (False)

    def advance(layer: int, states: list[Any] | None) -> None:
        """Lets a computation go on until it needs sweeps, or is finished."""
        waiting.pop(layer, None)
        try:
            waiting[layer] = estimations[layer][1].send(states)  # pyright: ignore[reportArgumentType]
        except StopIteration as end:
            finished[layer] = end.value

    for layer in range(len(estimations)):
        advance(layer, None)
    samples = [own for own, _ in estimations]
    while waiting:
        chosen = _next_together(waiting)
        kind = len(chosen[next(iter(chosen))].bounds) > 2
        swept = _with_passengers(chosen, latest.get(kind, {}), samples)
        latest[kind] = swept
        results = _sweep(swept, samples, execution)
        for layer in chosen:
            advance(layer, results.pop(layer))
    return [finished[layer] for layer in range(len(estimations))]


def _next_together(waiting: dict[int, Sweeps]) -> dict[int, Sweeps]:
    """Returns the layers whose sweeps come next: those over the same samples.

    The sweeps of jackknife groups are an estimator's last, or its only ones. They wait
    for all others, so that more layers come to share them.
    """
    bounds = min((tuple(wanted.bounds) for wanted in waiting.values()), key=lambda one: (len(one), one))
    return {layer: wanted for layer, wanted in waiting.items() if tuple(wanted.bounds) == bounds}


def _with_passengers(
    chosen: dict[int, Sweeps], latest: dict[int, Sweeps], samples: Sequence[Samples]
) -> dict[int, Sweeps]:
    """Returns the sweeps, with finished layers of the latest sweep as passengers if the
    program is then the compiled one.

    Compiling takes as long as the passengers of about ten thousand samples. So
    passengers are kept in short sweeps, as long as they are no more than the chosen
    layers, by dimensions. Their results are not used.
    """
    bounds = next(iter(chosen.values())).bounds
    passengers = set(latest) - set(chosen)
    sizes = {layer: samples[layer].sizes()[0] for layer in latest}
    fit = set(chosen) <= set(latest) and all(_shape(one) == _shape(latest[layer]) for layer, one in chosen.items())
    is_long = bounds[-1] - bounds[0] > _SHORT
    if is_long or not fit or sum(sizes[layer] for layer in passengers) > sum(sizes[layer] for layer in chosen):
        return chosen
    return {layer: chosen.get(layer, latest[layer]._replace(bounds=bounds)) for layer in latest}


def _shape(wanted: Sweeps) -> Any:
    """Returns what decides whether two steps are the same program."""
    arrays = jax.tree.map(lambda x: (x.shape, x.dtype), (wanted.step.state, wanted.step.operands))
    return wanted.step.update, arrays


def _sweep(wanted: dict[int, Sweeps], samples: Sequence[Samples], execution: Execution) -> dict[int, list[Any]]:
    """Returns the states of each layer, one per pair of neighbouring bounds."""
    parts = [Part(samples[layer], one.step) for layer, one in wanted.items()]
    requests = list(wanted.values())
    note = requests[-1].note
    if len(requests) > 1:
        note = f"{len(requests)} layers{'; ' if note else ''}{note}"
    bounds, own = requests[0].bounds, execution._replace(note=note)
    statistics = [one.statistics for one in requests]
    states = [sweeps.sweep_together(parts, statistics, own, start, stop) for start, stop in itertools.pairwise(bounds)]
    return {layer: [group[k] for group in states] for k, layer in enumerate(wanted)}
