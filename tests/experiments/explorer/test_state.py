"""The state of a page: it comes back from JSON, and nothing wrong is read."""

import json

import numpy as np
import pytest

from experiments.explorer import state
from experiments.explorer.messages import MessageError
from experiments.explorer.state import Move, Origin, State
from ganspace_jax.directions.edits import Edit

FULL = State(
    starts=(Origin(seed=7), Origin(), Origin(picture="me")), label=3, psi=0.7, cutoff=4, noise=12, mode="activation",
    centred=True, edits=(Move("components", 3, (0, 5), 2.5), Move("random", 1, None, -1.25), Move("named", 0, value=0.5)),
)  # fmt: skip


@pytest.mark.parametrize("one", [State(), FULL])
def test_a_state_comes_back_from_json(one):
    assert state.read(json.loads(json.dumps(state.to_json(one)))) == one


def test_missing_entries_have_defaults():
    assert state.read({}) == State(starts=(Origin(seed=1),))
    assert state.read_move({"group": "named", "number": 0}) == Move("named", 0, None, 0.0)


def test_a_sweep_replaces_a_value():
    values = State(edits=(Move("named", 0, None, 1.0, 0.5), Move("named", 1, None, 0.0, 0.5)))
    steps = state.with_step(values, Move("named", 0))
    assert steps.edits == (Move("named", 0, None, 1.0), values.edits[1])


@pytest.mark.parametrize("sigma", [2.123456789, 1e-7, -3, 1234.56789])
def test_a_step_is_what_the_text_of_an_edit_repeats(sigma):
    move = state.read_move({"group": "components", "number": 0, "sigma": sigma})
    assert Edit.parse(str(Edit(0, None, move.sigma))).sigma == move.sigma


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"starts": []}, "starts: must be a list of at least 1"),
        ({"starts": [{"seed": 1}] * 10}, "starts: must be a list of at most 9"),
        ({"starts": [{"seed": 1, "mean": True}]}, "start: must have one of"),
        ({"starts": [{"mean": False}]}, "mean: must be true"),
        ({"starts": [{"seed": 2**32}]}, "seed: must be a whole number"),
        ({"starts": [{"picture": 3}]}, "picture: must be a text"),
        ({"starts": [3]}, "start: must be a dictionary"),
        ({"label": "cone"}, "label: must be a whole number"),
        ({"psi": 101}, "psi: must be a number"),
        ({"psi": "0.7"}, "psi: must be a number"),
        ({"cutoff": -1}, "cutoff: must be a whole number"),
        ({"noise": "random"}, "noise: must be one of"),
        ({"noise": -1}, "noise: must be a whole number"),
        ({"mode": "Latent"}, "did you mean 'latent'"),
        ({"centred": 1}, "centred: must be true or false"),
        ({"edits": [{"group": "components"}]}, "edit: has no number"),
        ({"edits": [{"number": 1}]}, "edit: has no group"),
        ({"edits": [{"group": "components", "number": 1}] * 33}, "edits: must be a list of at most 32"),
        ({"edits": [{"group": "components", "number": 1, "sigma": 1e5}]}, "sigma: must be a number"),
        ({"edits": [{"group": "components", "number": 1, "value": "1"}]}, "value: must be a number"),
        ({"edits": [{"group": "components", "number": 1, "layers": [3, 3]}]}, "layers: must be a first layer"),
        ({"edits": [{"group": "components", "number": 1, "layers": [3]}]}, "layers: must be a first layer"),
        ({"edits": [{"group": "components", "number": 1, "layers": "0-3"}]}, "layers: must be a list"),
        ({"seeds": [1]}, "did you mean"),
        ([], "state: must be a dictionary"),
    ],
)
def test_a_wrong_entry_is_named(given, told):
    with pytest.raises(MessageError, match=told):
        state.read(given)


def test_wrong_types_anywhere_are_refused_or_read():
    random, full = np.random.default_rng(1), state.to_json(FULL)
    values = [None, True, -1, 0, 1.5, 1e308, 10**40, "", "x" * 90, "\ud800", [], [[]], {}, {"a": 1}, [None, None]]
    for _ in range(2000):
        changed = json.loads(json.dumps(full))
        places = [(changed, key) for key in changed]
        places += [(one, key) for name in ("starts", "edits") for one in changed[name] for key in one]
        holder, key = places[random.integers(len(places))]
        holder[key] = values[random.integers(len(values))]
        try:
            assert isinstance(state.read(changed), State)
        except MessageError as error:
            assert str(error).isprintable()
