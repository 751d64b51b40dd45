"""Several layers in shared sweeps: the numbers of separate runs, from fewer passes,
also after interruptions.
"""

import dataclasses

import jax
import numpy as np
import pytest

from ganspace_jax.generators import base, stylegan2
from ganspace_jax.methods import decomposition
from ganspace_jax.methods.decomposition import Decomposition
from ganspace_jax.methods.estimators import choice, lockstep
from ganspace_jax.run import Interrupted, Run
from ganspace_jax.sampling import sweeps

LAYERS = {"w": "exact", "b4.conv1": "randomized", "b8.conv0": "randomized", "b8.conv1": "exact"}
SPEC = Decomposition(latent_space="z", num_samples=1001, num_components=3, seed=3)
SPECS = [dataclasses.replace(SPEC, layer=layer, estimator=estimator) for layer, estimator in LAYERS.items()]
RUN = Run(batch_size=64)


@pytest.fixture(scope="module")
def generator():
    config = stylegan2.Config(z_dim=4, w_dim=4, channels=(3, 2), mapping_layers=2)
    return base.split(stylegan2.StyleGAN2(config, key=jax.random.key(0)))


@pytest.fixture(scope="module")
def together(generator):
    return decomposition.decompose_layers(generator, SPECS, RUN)


def _assert_close(found, expected):
    for name, value in vars(expected).items():
        if isinstance(value, np.ndarray):
            np.testing.assert_allclose(getattr(found, name), value, rtol=1e-5, atol=1e-6, err_msg=name)
    assert (found.spec, found.source) == (expected.spec, expected.source)


def test_they_equal_separate_runs(generator, together):
    for found, spec in zip(together, SPECS, strict=True):
        _assert_close(found, decomposition.decompose(generator, spec, RUN))


def _sweep_counts(monkeypatch, generator, specs, run):
    """Returns the numbers of samples that pass the network, with and without repeated
    layers.
    """
    counts, sweep = [], sweeps.sweep_together

    def counted(parts, statistics, execution, start, stop):
        counts.append((stop - start, len(parts)))
        return sweep(parts, statistics, execution, start, stop)

    with monkeypatch.context() as patch:
        patch.setattr(sweeps, "sweep_together", counted)
        found = decomposition.decompose_layers(generator, specs, run)
    return found, counts


def test_they_pass_the_network_as_often_as_the_slowest_of_them(monkeypatch, generator, together):
    found, counts = _sweep_counts(monkeypatch, generator, SPECS, RUN)
    alone = [
        sum(count for count, _ in _sweep_counts(monkeypatch, generator, [spec], RUN)[1])
        for spec in (SPECS[1], SPECS[2])
    ]
    assert sum(count for count, _ in counts) == max(alone)
    assert max(number for _, number in counts) == 4
    _assert_close(found[3], together[3])


def test_long_sweeps_carry_no_passengers(monkeypatch, generator, together):
    """Passengers cost products and change no numbers."""
    costs = []
    for short in (1001, 0):
        monkeypatch.setattr(lockstep, "_SHORT", short)
        found, counts = _sweep_counts(monkeypatch, generator, SPECS, RUN)
        costs.append(sum(count * number for count, number in counts))
        for one, expected in zip(found, together, strict=True):
            _assert_close(one, expected)
    assert costs[1] < costs[0], counts


def test_a_small_memory_divides_them(monkeypatch, generator, together):
    """A budget for one layer after another gives the same numbers."""
    needed = max(
        choice.ESTIMATORS[one.source.estimator].host_bytes((int(one.activation_mean.size), 4), 3) for one in together
    )
    small = dataclasses.replace(RUN, memory_gb=1.001 * needed / 1e9)
    found, counts = _sweep_counts(monkeypatch, generator, SPECS, small)
    assert max(number for _, number in counts) < 4
    for one, expected in zip(found, together, strict=True):
        _assert_close(one, expected)


def test_stopped_again_and_again_they_end_bit_equal(tmp_path, monkeypatch, generator, together):
    monkeypatch.setattr(sweeps, "STEP_SECONDS", 0.0)
    attempts, calls = 0, [0]

    def stop():
        calls[0] += 1
        return calls[0] % 23 == 0

    run = dataclasses.replace(RUN, state=tmp_path / "state", save_every=1e9, should_stop=stop)
    while True:
        attempts += 1
        try:
            found = decomposition.decompose_layers(generator, SPECS, run)
            break
        except Interrupted:
            continue
    assert attempts > 2
    for one, expected in zip(found, together, strict=True):
        for name, value in vars(expected).items():
            np.testing.assert_array_equal(getattr(one, name), value, err_msg=name)


def test_layers_of_other_samples_are_refused(generator):
    with pytest.raises(ValueError, match="layer and estimator only"):
        decomposition.decompose_layers(generator, [SPECS[0], dataclasses.replace(SPECS[1], seed=4)], RUN)
