"""One running hub for all tests of the command line; those that would disturb the others make one of their own. And
consoles that share what is the same for all of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from textual.css import stylesheet

from tests.tui.live_hub import LiveHub, clean_environment, live_hub


def _share_parsed_styles() -> None:
    """A style sheet is parsed once a process for each set of variables, and not once an app: a tenth of what a test of
    the console takes.
    """
    parse, parsed = stylesheet.parse, {}

    def parse_once(scope: str, css: str, read_from: Any, *, variable_tokens: Any, **more: Any) -> list[Any]:
        variables = tuple((name, *tokens) for name, tokens in variable_tokens.items())
        key = (scope, css, read_from, variables, *more.items())
        if key not in parsed:
            parsed[key] = list(parse(scope, css, read_from, variable_tokens=variable_tokens, **more))
        return parsed[key]

    stylesheet.parse = parse_once


_share_parsed_styles()


@pytest.fixture(scope="session")
def answerback(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveHub]:
    """`answerback("agents")` is the command as the admin, on a hub with the machines web-1 and web-2."""
    clean_environment()
    with live_hub(tmp_path_factory.mktemp("live")) as running:
        yield running
