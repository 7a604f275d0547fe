"""What a stage gave, read back from where it was noted."""

from __future__ import annotations

import dataclasses
from typing import Any, TypeVar

Figures = TypeVar("Figures")


def figures_from_plain(figures: type[Figures], plain: dict[str, Any]) -> Figures:
    """Rebuild a dataclass of numbers.

    Raises ValueError when a field is missing, unknown or no number: another version may have noted it.
    """
    assert dataclasses.is_dataclass(figures)
    if set(plain) != {item.name for item in dataclasses.fields(figures)}:
        raise ValueError(f"expected the fields of {figures.__name__}, found others")
    if not all(isinstance(value, (int, float)) for value in plain.values()):
        raise ValueError(f"expected numbers in {figures.__name__}, found something else")
    return figures(**plain)
