"""Findings survive their files, and their numbers are honest about what is unknown."""

import json

import numpy as np
import pytest

from ganspace_jax.claims import findings
from ganspace_jax.claims.findings import Figure, Finding, Table

FOUND = Finding(
    "Is it so?", "partly", "In two of three cases.",
    [Figure("share", 0.667, 0.5, 0.8), Figure("seconds", 3.0)],
    [Table("Cases", ["case", "holds"], [["a", "yes"], ["b", "no"]])],
    {"A picture": np.zeros((2, 3, 3), np.uint8)},
)  # fmt: skip


def test_a_finding_equals_that_of_its_json():
    values = json.loads(json.dumps(findings.to_json(FOUND), allow_nan=False))
    again = findings.from_json(values, list(FOUND.pictures.values()))
    assert findings.to_json(again) == findings.to_json(FOUND)
    assert np.isnan(again.figures[1].low) and list(again.pictures) == ["A picture"]
    assert [findings.text(one) for one in again.figures] == ["0.667 (0.5 to 0.8)", "3"]


def test_a_number_that_is_not_known_is_called_unknown():
    assert findings.text(Figure("share", np.nan, 0.1, 0.2)) == "unknown"


@pytest.mark.parametrize(
    ("changes", "said"),
    [({"verdict": "maybe"}, "verdict: must be one of yes, no"), ({"answer": None, "figures": 3}, "not a finding")],
)
def test_values_that_are_no_finding_are_refused(changes, said):
    with pytest.raises(ValueError, match=said):
        findings.from_json({**findings.to_json(FOUND), **changes}, list(FOUND.pictures.values()))
