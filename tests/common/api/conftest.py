"""A hub's inside, whose answers the types of the API must read and give back."""

from __future__ import annotations

from tests.hub.conftest import fake_clock, harness

__all__ = ["fake_clock", "harness"]
