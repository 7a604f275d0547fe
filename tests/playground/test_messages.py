from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mario_world_model.playground.messages import MESSAGES, MOST_BYTES, MessageError, parse_message

BEGIN = {"type": "begin", "start": "1-1@1200", "seed": 7, "temperature": 1, "player": "you", "plays": "4x7.2x11"}


@pytest.mark.parametrize(
    "message",
    [
        BEGIN,
        {**BEGIN, "plays": "", "start": "data:3:40", "temperature": 0.0},
        {"type": "keys", "buttons": 129, "count": 3},
        {"type": "pause", "on": True},
        {"type": "step"},
        {"type": "latent", "index": 3, "value": -1.5},
    ],
)
def test_what_a_page_says_is_understood(message: dict[str, object]) -> None:
    assert parse_message(json.dumps(message)) == message


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "expected JSON"),
        ("[" * 4000, "expected JSON"),
        ('{"type": "speed", "value": NaN}', "expected JSON"),
        ("[]", "expected an object with a type"),
        ('{"type": ["step"]}', "expected an object with a type"),
        ('{"type": "__init__"}', "expected an object with a type"),
        ('{"type": "step", "more": 1}', "step: expected the fields none"),
        ('{"type": "keys", "buttons": 1}', "keys: expected the fields buttons, count"),
        ('{"type": "keys", "buttons": 256, "count": 1}', "buttons: expected a whole number from 0 to 255"),
        ('{"type": "keys", "buttons": true, "count": 1}', "buttons: expected"),
        ('{"type": "keys", "buttons": 1.0, "count": 1}', "buttons: expected"),
        ('{"type": "speed", "value": 1e999}', "value: expected a number"),
        (json.dumps({"type": "speed", "value": 10**400}), "value: expected a number"),  # more than a float holds
        (json.dumps({"type": "ack", "frame": 10**400}), "frame: expected a whole number"),
        ('{"type": "pause", "on": 1}', "on: expected true or false"),
        (json.dumps({**BEGIN, "start": "../../etc/passwd"}), "start: expected"),
        (json.dumps({**BEGIN, "start": "1-1\n"}), "start: expected"),
        (json.dumps({**BEGIN, "player": "root"}), "player: expected"),
        (json.dumps({**BEGIN, "plays": "4x"}), "plays: expected"),
        (json.dumps({**BEGIN, "plays": "1x1." * 2000}), f"expected at most {MOST_BYTES} bytes"),
        (b'{"type": "step"}', "expected text, found bytes"),
        (b"x" * 5000, f"expected at most {MOST_BYTES} bytes"),
    ],
)
def test_anything_else_is_refused_with_a_reason(text: str | bytes, says: str) -> None:
    with pytest.raises(MessageError) as refusal:
        parse_message(text)
    assert says in str(refusal.value)


_PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@settings(deadline=None)
@given(st.sampled_from(sorted(MESSAGES)), st.lists(_PLAIN, min_size=5, max_size=5), st.booleans())
def test_no_content_of_a_message_is_more_than_refused(kind: str, values: list[object], whole: bool) -> None:
    fields = list(MESSAGES[kind])[: None if whole else 1]
    message = {"type": kind, **dict(zip(fields, values, strict=False))}
    with contextlib.suppress(MessageError):
        assert parse_message(json.dumps(message))["type"] == kind


@settings(deadline=None)
@given(st.text(max_size=200) | st.binary(max_size=200))
def test_no_text_is_more_than_refused(text: str | bytes) -> None:
    with pytest.raises(MessageError):
        parse_message(text)
