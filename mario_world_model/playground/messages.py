"""What a page may say to its session: small JSON objects, every field checked before anything acts on it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

MOST_BYTES: Final = 4096
"""Longest message of a client."""

Message = dict[str, Any]
PLAYERS: Final = ("you", "controller", "dreamer", "ppo", "random")
FASTEST: Final = 4.0
SLOWEST: Final = 0.25
HOTTEST: Final = 3.0


class MessageError(Exception):
    """A message nobody's page sends; says what was expected."""


@dataclass(frozen=True)
class _Number:
    low: float
    high: float
    whole: bool = False

    def __call__(self, value: Any) -> bool:
        if isinstance(value, bool) or not isinstance(value, int if self.whole else (int, float)):
            return False
        return self.low <= value <= self.high  # which nothing is that is not finite

    def __str__(self) -> str:
        return f"{'a whole number' if self.whole else 'a number'} from {self.low:g} to {self.high:g}"


@dataclass(frozen=True)
class _Word:
    pattern: str

    def __call__(self, value: Any) -> bool:
        return isinstance(value, str) and re.fullmatch(self.pattern, value) is not None

    def __str__(self) -> str:
        return f"text like {self.pattern}"


@dataclass(frozen=True)
class _Switch:
    def __call__(self, value: Any) -> bool:
        return isinstance(value, bool)

    def __str__(self) -> str:
        return "true or false"


_Check = Callable[[Any], bool]
_COUNT = _Number(0, 2**53, whole=True)
_SEED = _Number(0, 2**31 - 1, whole=True)
_TEMPERATURE = _Number(0.0, HOTTEST)
_PLAYER = _Word("|".join(PLAYERS))

MESSAGES: Final[dict[str, dict[str, _Check]]] = {
    # The first message of every connection, and every restart. `plays` are actions to play again, as 4x7.2x11.
    "begin": {
        "start": _Word(r"[a-z0-9:@-]{1,32}"),
        "seed": _SEED,
        "temperature": _TEMPERATURE,
        "player": _PLAYER,
        "plays": _Word(r"(\d{1,2}x\d{1,4}(\.\d{1,2}x\d{1,4})*)?"),
    },
    # The joypad byte that is held now, and a count by which the page times its answer.
    "keys": {"buttons": _Number(0, 255, whole=True), "count": _COUNT},
    "player": {"who": _PLAYER},
    "pause": {"on": _Switch()},
    "step": {},
    "speed": {"value": _Number(SLOWEST, FASTEST)},
    "smooth": {"on": _Switch()},
    "sync": {},
    "temperature": {"value": _TEMPERATURE},
    "luck": {"seed": _SEED},
    "scrub": {"step": _COUNT},
    "latent": {"index": _Number(0, 4095, whole=True), "value": _Number(-100.0, 100.0)},
    "record": {"format": _Word("mp4|gif")},
    "stop": {},
    "keep": {},
    "ack": {"frame": _COUNT},
}
"""Every message and its fields; all of them are required and there are no others."""


def parse_message(text: str | bytes) -> Message:
    """Read one message of a client.

    Raises:
        MessageError: it is too long, no JSON object, of an unknown type, or a field is missing, wrong or strange.
    """
    size = len(text.encode(errors="surrogatepass")) if isinstance(text, str) else len(text)
    if size > MOST_BYTES:
        raise MessageError(f"expected at most {MOST_BYTES} bytes, found {size}")
    if not isinstance(text, str):
        raise MessageError("expected text, found bytes")
    try:
        message = json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise MessageError("expected JSON") from error
    kind = message.get("type") if isinstance(message, dict) else None
    checks = MESSAGES.get(kind) if isinstance(kind, str) else None
    if checks is None:
        raise MessageError(f"expected an object with a type: {', '.join(MESSAGES)}")
    if set(message) != {"type", *checks}:
        raise MessageError(f"{kind}: expected the fields {', '.join(checks) or 'none'} beside type")
    for name, check in checks.items():
        if not check(message[name]):
            raise MessageError(f"{kind}: {name}: expected {check}")
    checked: Message = message
    return checked


def _refuse(constant: str) -> Any:
    raise ValueError(constant)
