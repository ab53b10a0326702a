"""One server view kept true: subscribes, applies what comes, begins again on a gap or when another window is wanted.

It runs as a worker and touches no widget; screens read its window when they flush.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from contextlib import aclosing
from dataclasses import replace
from typing import Any, Final, cast

from common.errors import UserError
from common.text import clean
from tui.client import CallRefused, LinkLost
from tui.faults import fault_words
from tui.filter_text import Problem
from tui.model import BadPush, Query, Window
from tui.source import Source

SETTLE: Final = 0.05
"""Seconds that a wanted window must stand still before it is asked for: a scroll is one question."""
AGAIN: Final = 5.0
"""Seconds after which a view that failed is asked for again."""
MARGIN: Final = 1.0
"""Screens of rows asked for above and below the one shown."""
_AT = re.compile(r"\s*(\d{1,5}):\s*(.*)", re.DOTALL)


class Live:
    def __init__(self, source: Source, query: Query, slot: str) -> None:
        self.window = Window()
        self.query = query
        self.typed = query.filter  # what stands in the filter's line, right or wrong
        self.shown = query  # what the window holds; differs from `query` until its snapshot is here
        self.problem: Problem | None = None
        self.at: float | None = None  # when something last came
        self.broken = False  # nothing comes any more: what the window holds is as old as `at`
        self._source = source
        self._slot = slot
        self._asked = asyncio.Event()
        self._on = False

    # ---- what is wanted

    def start(self) -> None:
        """Begins, or begins again: the screen is shown, or the link is back."""
        self._on = True
        self._asked.set()

    def stop(self) -> None:
        self._on = False
        self._asked.set()

    def ask(self, **changes: Any) -> None:
        """Another filter, order or window."""
        query = replace(self.query, **changes)
        if "filter" in changes:
            self.typed = query.filter
        if query != self.query or self.problem is not None:
            self.problem = None
            self.query = query
            self._asked.set()

    def refuse(self, text: str, problem: Problem) -> None:
        """A filter that is none: what is shown stays, and what was typed is shown with where it is wrong."""
        self.typed, self.problem = text, problem

    def want(self, lo: int, hi: int) -> None:
        """Rows lo to hi are shown; asks for a window around them where the present one ends too near."""
        size = max(1, hi - lo)
        near = max(0, lo - size // 4), min(hi + size // 4, max(self.window.total, hi))
        if self.query.covers(*near) and (not self.window.loaded or self.window.has(lo, hi)):
            return
        pad = int(size * MARGIN)
        start = max(0, lo - pad)
        count = min(400, hi + pad - start)
        if (start, count) != (self.query.lo, self.query.n):
            self.ask(lo=start, n=count)

    # ---- the worker

    async def run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            follower: asyncio.Task[None] | None = None
            while True:
                await self._asked.wait()
                await asyncio.sleep(SETTLE)
                self._asked.clear()
                if follower is not None:
                    follower.cancel()
                    follower = None
                if self._on and self._source.link.live:
                    follower = tasks.create_task(self._follow(self.query), name=f"view {self._slot}")

    async def _follow(self, query: Query) -> None:
        """Until the link is lost or the hub says no; what fails otherwise is told and tried again after a while."""
        try:
            while await self._once(query):
                pass
            problem = Problem("the hub ended the view")
        except CallRefused as error:
            self.problem, self.broken = problem_of(error), True
            return
        except LinkLost as error:
            if not self._source.link.live:
                return  # the link's state says so; `start` comes when it is back
            problem = Problem(clean(str(error), limit=300))
        except (UserError, BadPush) as error:
            problem = Problem(clean(str(error), limit=300))
        except Exception as error:
            problem = Problem(fault_words(error))
        self.problem, self.broken = problem, True
        await asyncio.sleep(AGAIN)
        self._asked.set()

    async def _once(self, query: Query) -> bool:
        """One subscription; True where it must be made again."""
        pushes = self._source.subscribe("view", self._slot, **query.args())
        async with aclosing(cast(Any, pushes)) as stream:
            async for push in stream:
                if not isinstance(push, Mapping):
                    raise BadPush(f"a push that is none: {type(push).__name__}")
                if "rows" in push and not self.shown.same_rows(query):
                    self.window.clear()
                if self.typed == query.filter:
                    self.problem = None
                self.shown, self.at, self.broken = query, self._source.now(), False
                if not self.window.apply(push):
                    return True
        return False


def problem_of(error: CallRefused) -> Problem:
    """A refusal's words, and the place in the filter that it names."""
    text = clean(error.problem, limit=300)
    found = _AT.match(text)
    if error.code == "filter" and found:
        return Problem(found[2], int(found[1]))
    return Problem(text)
