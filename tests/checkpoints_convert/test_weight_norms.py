"""Spectral norm and weight norm of transposed convolutions: the weight is computed."""

import jax
import numpy as np
import pytest

from checkpoints_convert import dcgan_pytorch, formats, weight_norms
from checkpoints_convert.networks import Network
from ganspace_jax.errors import InputError
from tests.dcgan_files import drawn

STATE = drawn((5, 4, 3))
OLD = ("weight_orig", "weight_u", "weight_v", "weight_g", "weight_v")
NEW = tuple(
    f"parametrizations.weight.{name}" for name in ("original", "0._u", "0._v", "original0", "original1")
)  # fmt: skip


def _spectral(names):
    """Parts whose weights are STATE's: twice the weight, with a norm of two."""
    parts = {}
    for name, array in STATE.items():
        if array.ndim != 4:
            parts[name] = array
            continue
        matrix = array.swapaxes(0, 1).reshape(array.shape[1], -1)
        u = np.ones(len(matrix), np.float32)
        v = (matrix.T @ u / (matrix.T @ u @ (matrix.T @ u))).astype(np.float32)  # so that u . W v = 1
        module = name.removesuffix("weight")
        parts |= dict(zip((module + names[i] for i in range(3)), (2 * array, 2 * u, v), strict=True))
    return {name: array / 2 if name.endswith((names[1], "_u")) else array for name, array in parts.items()}


def _lengths(names, axis):
    parts = {}
    for name, array in STATE.items():
        if array.ndim != 4:
            parts[name] = array
            continue
        axes = tuple(one for one in range(4) if one != axis)
        module = name.removesuffix("weight")
        parts[module + names[3]] = np.sqrt((array**2).sum(axes, keepdims=True))
        parts[module + names[4]] = 7 * array
    return parts


CASES = {
    "spectral norm": _spectral(OLD), "spectral parametrization": _spectral(NEW),
    "weight norm": _lengths(OLD, 0), "weight parametrization": _lengths(NEW, 0), "other axis": _lengths(OLD, 1),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_parts_give_the_weights(case):
    state = CASES[case]
    assert formats.names_of(state) == ["dcgan"]
    assert weight_norms.renamed(state).keys() == weight_norms.computed(state).keys() == STATE.keys()
    found, expected = dcgan_pytorch.convert(state), dcgan_pytorch.convert(STATE)
    assert found.definition == expected.definition
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5), found.params, expected.params)


def test_parts_that_do_not_fit_are_named():
    state = {**_spectral(OLD), "main.0.weight_v": np.ones(3, np.float32)}
    with pytest.raises(InputError, match=r"parameter main\.0\.weight_orig: has shape .*\(3,\)"):
        dcgan_pytorch.convert(state)
    state = {**_lengths(OLD, 0), "main.0.weight_g": np.ones((2, 1, 1, 1), np.float32)}
    with pytest.raises(InputError, match=r"parameter main\.0\.weight_v: has shape .*\(2, 1, 1, 1\)"):
        dcgan_pytorch.convert(state)


def test_arrays_without_their_partners_stay():
    state = {name: array for name, array in _spectral(OLD).items() if not name.endswith("weight_u")}
    assert weight_norms.renamed(state).keys() == state.keys()


def _refusal(state):
    with pytest.raises(InputError) as error:
        formats.recognize(formats.Source("x.pt", "torch file", (Network("", state),)))
    return str(error.value)


def test_relatives_of_dcgan_are_refused_with_the_reason():
    without = {name: array for name, array in STATE.items() if "running" not in name}
    assert "no running means" in _refusal(without) and "InstanceNorm" in _refusal(without)
    labels = {"label_emb.weight": np.ones((10, 5), np.float32), **STATE}
    assert "label_emb.weight is a dense layer or an embedding of labels" in _refusal(labels)
    plain = {name: array.swapaxes(0, 1) if array.ndim == 4 else array for name, array in STATE.items()}
    assert "plain convolutions (Conv2d), as after Upsample" in _refusal(plain)
