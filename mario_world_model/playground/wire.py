"""What goes from a session to its page: a header and named parts, as one run of bytes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

Part = tuple[str, bytes]


def pack(header: dict[str, Any], parts: Sequence[Part]) -> bytes:
    """A message: the length of its header (4 bytes, little-endian), the header as JSON, and the parts it names.

    The header gains `parts`, a list of [name, bytes].
    """
    header = {**header, "parts": [[name, len(content)] for name, content in parts]}
    text = json.dumps(header, separators=(",", ":")).encode()
    return b"".join([len(text).to_bytes(4, "little"), text, *(content for _, content in parts)])


def unpack(message: bytes) -> tuple[dict[str, Any], list[Part]]:
    """Header and parts of what `pack` made."""
    end = 4 + int.from_bytes(message[:4], "little")
    header: dict[str, Any] = json.loads(message[4:end])
    parts = []
    for name, length in header.pop("parts"):
        parts.append((name, message[end : end + length]))
        end += length
    return header, parts
