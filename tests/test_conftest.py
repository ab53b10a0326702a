"""The names of parametrised tests."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from tests.conftest import MAX_ID, pytest_collection_modifyitems, pytest_make_parametrize_id, short_id


def test_a_long_parameter_has_a_short_name_of_its_own() -> None:
    """Its beginning can be read; two that begin alike are told apart; short ones are named by pytest."""
    first, second = short_id("x" * 3_000_000), short_id("x" * 2_999_999 + "y")
    assert first is not None
    assert second is not None
    assert first != second
    assert first.startswith("xxxx")
    assert max(len(first), len(second)) <= MAX_ID // 2
    assert short_id("web-1") is None
    found = short_id("\ud800\x1b断" * 100)
    assert found is not None
    assert found.isascii()
    assert found.isprintable()


@pytest.mark.parametrize("value", ["a" * 1_000, b"\xff" * 1_000, 10**400, "磁盘" * 40])
def test_text_bytes_and_numbers_are_cut(value: object, request: pytest.FixtureRequest) -> None:
    """Whatever pytest would write out."""
    assert pytest_make_parametrize_id(request.config, value, "value") in request.node.name
    assert len(request.node.name) < 130
    assert pytest_make_parametrize_id(request.config, ["a" * 1_000], "value") is None


def test_a_name_that_is_too_long_ends_the_run() -> None:
    """It is named, with what to do."""

    def item(size: int) -> Any:
        return SimpleNamespace(nodeid=f"tests/test_x.py::test_x[{'n' * size}]", callspec=SimpleNamespace(id="n" * size))

    pytest_collection_modifyitems([item(MAX_ID)])
    with pytest.raises(pytest.UsageError, match=r"(?s)give `ids`.*tests/test_x\.py::test_x"):
        pytest_collection_modifyitems([item(1), item(MAX_ID + 1)])
