"""Messages: every byte string is read as entries, or refused in one line."""

import json
import math

import numpy as np
import pytest

from experiments.explorer import messages
from experiments.explorer.messages import MessageError


def test_a_message_and_its_payload_come_back():
    payload = bytes(range(256)) + b"\n\n{}"
    body = messages.write({"id": 3, "kind": "picture", "text": "Größe\n"}, payload)
    assert messages.read(body) == ({"id": 3, "kind": "picture", "text": "Größe\n"}, payload)


def test_an_answer_is_one_line_and_never_nan():
    assert messages.write({"a": "x\ny\u2028"}).count(b"\n") == 1
    with pytest.raises(ValueError, match="JSON compliant"):
        messages.write({"a": math.nan})
    assert messages.finite_or_none(np.float32("nan")) is None
    assert messages.finite_or_none(np.float32(0.5)) == 0.5


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"", "is not JSON"),
        (b"[1]\n", "must be a dictionary"),
        (b'"kind"', "must be a dictionary"),
        (b"null", "must be a dictionary"),
        (b'{"a": NaN}', "NaN is no number"),
        (b'{"a": -Infinity}', "no number"),
        (b"\xff\xfe{}", "is not JSON"),
        (b'{"a": ' + b"9" * 5000 + b"}", "is not JSON"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"a":' * 50_000, "nested too deeply"),
        (b'{"a": ' + b"[" * 20 + b"]" * 20 + b"}", "nested too deeply"),
        (b"{" + b" " * messages.MAX_LINE + b"}", "at most 256,000"),
        (b"{}\n" + bytes(messages.MAX_BYTES), "at most 32,000,000"),
    ],
)
def test_a_bad_message_is_refused_in_one_line(body, told):
    with pytest.raises(MessageError, match=told) as caught:
        messages.read(body)
    assert str(caught.value).isprintable()


def test_random_bytes_are_read_or_refused():
    random, valid = np.random.default_rng(0), json.dumps({"id": 1, "kind": "keep", "name": "x" * 40}).encode()
    for k in range(3000):
        body = bytearray(random.bytes(random.integers(0, 60)) if k % 2 else valid)
        for place in random.integers(0, max(1, len(body)), 3):
            if body:
                body[place % len(body)] = random.integers(0, 256)
        try:
            content, _ = messages.read(bytes(body))
            assert isinstance(content, dict)
        except MessageError as error:
            assert str(error).isprintable() and len(str(error)) < 300


@pytest.mark.parametrize("value", [1.5, True, "3", None, [], 10**400, 1e300, -1, 11])
def test_a_whole_number_is_within_bounds(value):
    with pytest.raises(MessageError, match="number: must be a whole number from 0 to 10, is"):
        messages.integer(value, "number", 0, 10)
    assert messages.integer(7.0, "number", 0, 10) == 7


@pytest.mark.parametrize("value", [True, "3", None, [], 10**400, 1e300, -10.5, {"a": 1}])
def test_a_number_is_within_bounds(value):
    with pytest.raises(MessageError, match="sigma: must be a number from -10 to 10, is"):
        messages.number(value, "sigma", 10)
    assert messages.number(3, "sigma", 10) == 3.0


def test_texts_are_printable_and_short():
    assert messages.text("  a\x1b[2Jb\ud800 ", "name") == r"a\x1b[2Jb\ud800"
    for value in ("x" * 2001, 3, None, ["a"]):
        with pytest.raises(MessageError, match="name: must be a text"):
            messages.text(value, "name")


def test_lists_and_dictionaries_are_bounded_and_known():
    assert messages.items([1, 2], "list", 2, lambda one: one + 1) == (2, 3)
    for value in ([1, 2, 3], {"a": 1}, None, "ab"):
        with pytest.raises(MessageError, match="list: must be a list of at most 2"):
            messages.items(value, "list", 2, lambda one: one)
    assert messages.entries({"sigma": 1}, "edit", ("sigma",)) == {"sigma": 1}
    with pytest.raises(MessageError, match="did you mean 'sigma'"):
        messages.entries({"sigmma": 1}, "edit", ("sigma",))
    with pytest.raises(MessageError, match="edit: must be a dictionary"):
        messages.entries([], "edit", ("sigma",))


@pytest.mark.parametrize("number", [True, "1", 1.0, 2**60, None, [1]])
def test_only_a_whole_number_is_a_number_of_a_message(number):
    assert messages.id_of({"id": number}) is None
    assert messages.id_of({"id": 2**40}) == 2**40
