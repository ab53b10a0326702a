"""One test of many cases: all are tried, and each that fails is named. For tables of lines that are quick to judge."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection
from typing import Any

import pytest

MAX_NAME = 120
"""Characters of a case and of its failure in the message."""


Check = Callable[..., None]


def each_of(names: str | tuple[str, ...], cases: Collection[Any]) -> Callable[[Check], Check]:
    """In place of `pytest.mark.parametrize` for a function that leaves its fixtures as they were.

    `names` are the parameters: one as text, several as a tuple; the function's others are fixtures, made once for all
    cases. The assertions stay as they would be for one case.
    """
    keys = (names,) if isinstance(names, str) else names

    def decorate(check: Check) -> Check:
        assert not inspect.iscoroutinefunction(check), "nobody would wait for it"
        signature = inspect.signature(check)

        def test(**fixtures: Any) -> None:
            failed = []
            for case in cases:
                values = dict(zip(keys, (case,) if isinstance(names, str) else case, strict=True))
                try:
                    check(**fixtures, **values)
                except (Exception, pytest.fail.Exception) as error:
                    failed.append(f"{_cut(repr(case))}: {type(error).__name__}: {_cut(str(error))}")
            assert cases, "no case to try"
            assert not failed, f"{len(failed)} of {len(cases)} failed:\n" + "\n".join(failed)

        test.__name__, test.__doc__, test.__module__ = check.__name__, check.__doc__, check.__module__
        rest = [parameter for name, parameter in signature.parameters.items() if name not in keys]
        test.__signature__ = signature.replace(parameters=rest)  # type: ignore[attr-defined]
        return test

    return decorate


def _cut(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= MAX_NAME else line[: MAX_NAME - 1] + "…"
