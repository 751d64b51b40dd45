"""How many knots a curve needs, for values whose curve is known."""

import numpy as np
import pytest

from ganspace_jax.measures import curve_knots
from ganspace_jax.measures.curve_knots import Coordinates


def _halves(value, *, changes):
    x = np.random.default_rng(1).normal(size=(600, 2))
    if changes:
        both = Coordinates(x[:, :1], value(x[:, :1]) - value(x[:, 1:]), x[:, 1:])
    else:
        both = Coordinates(x[:, :1], value(x[:, :1]))
    return [
        Coordinates(*(None if one is None else one[part] for one in both)) for part in (slice(300), slice(300, 600))
    ]


@pytest.mark.parametrize("changes", [False, True])
def test_a_straight_value_needs_no_knots(changes):
    found = curve_knots.measure("value", *_halves(lambda x: 3.0 * x, changes=changes)).figures
    assert found["identity"].value > 0.999999 and abs(found["11 knots less identity"].value) < 0.01
    np.testing.assert_allclose(found["slope at the ends / in the middle"].value, 1.0, atol=0.15)


@pytest.mark.parametrize("changes", [False, True])
def test_a_saturating_value_needs_knots_and_is_flat_at_its_ends(changes):
    found = curve_knots.measure("value", *_halves(lambda x: np.clip(x, -0.6, 0.6), changes=changes)).figures
    assert found["identity"].value < 0.93 < 0.99 < found["11 knots"].value
    assert found["11 knots less identity"].low > 0.05
    assert found["slope at the ends / in the middle"].value < 0.02
