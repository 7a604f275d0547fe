"""The playground's browser, for the report."""

from tests.playground.conftest import browser

__all__ = ["browser"]
