"""One list of the hub kept current: subscribes, applies pushes, begins again on a gap or when another window is wanted.

It runs as a worker and touches no widget; pushes are decoded and applied here, and screens only read the window when
they are painted.
"""

from __future__ import annotations

import asyncio
import re
from contextlib import aclosing
from dataclasses import replace
from typing import Any, Final, cast

from common.api import verbs
from common.api.lists import Delta, Snapshot
from common.api.versions import TooNew
from common.errors import UserError
from common.text import clean
from tui.client.errors import CallRefused, LinkLost
from tui.client.faults import describe_fault
from tui.client.source import Source
from tui.model.filter_text import FilterProblem
from tui.model.window import RowWindow, ViewQuery

DEBOUNCE: Final = 0.05
"""Seconds that a wanted window must stand still before it is asked for: a scroll is one question."""
RETRY_AFTER: Final = 5.0
"""Seconds after which a view that failed is asked for again."""
PREFETCH_SCREENS: Final = 1.0
"""Screens of rows asked for above and below the one shown."""
_AT = re.compile(r"\s*(\d{1,5}):\s*(.*)", re.DOTALL)


class LiveView:
    def __init__(self, source: Source, query: ViewQuery, slot: str) -> None:
        self.window = RowWindow()
        self.query = query
        self.filter_input = query.filter  # what stands in the filter's line, right or wrong
        self.loaded_query = query  # what the window holds; differs from `query` until its snapshot is here
        self.problem: FilterProblem | None = None
        self.updated_at: float | None = None  # when something last came
        self.stale = False  # nothing comes any more: what the window holds is as old as `updated_at`
        self._source = source
        self._slot = slot
        self._wake = asyncio.Event()
        self._active = False

    # ---- what is wanted

    def start(self) -> None:
        """Begins, or begins again: the screen is shown, or the link is back."""
        self._active = True
        self._wake.set()

    def stop(self) -> None:
        self._active = False
        self._wake.set()

    def update_query(self, **changes: Any) -> None:
        """Another filter, order or window."""
        query = replace(self.query, **changes)
        if "filter" in changes:
            self.filter_input = query.filter
        if query != self.query or self.problem is not None:
            self.problem = None
            self.query = query
            self._wake.set()

    def reject_filter(self, text: str, problem: FilterProblem) -> None:
        """A filter that is none: what is shown stays, and what was typed is shown with where it is wrong."""
        self.filter_input, self.problem = text, problem

    def request_rows(self, lo: int, hi: int) -> None:
        """Rows lo to hi are shown; asks for a window around them where the present one ends too near."""
        size = max(1, hi - lo)
        near = max(0, lo - size // 4), min(hi + size // 4, max(self.window.total, hi))
        if self.query.covers(*near) and (not self.window.loaded or self.window.covers(lo, hi)):
            return
        pad = int(size * PREFETCH_SCREENS)
        start = max(0, lo - pad)
        count = min(400, hi + pad - start)
        if (start, count) != (self.query.lo, self.query.n):
            self.update_query(lo=start, n=count)

    # ---- the worker

    async def run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            follower: asyncio.Task[None] | None = None
            while True:
                await self._wake.wait()
                await asyncio.sleep(DEBOUNCE)
                self._wake.clear()
                if follower is not None:
                    follower.cancel()
                    follower = None
                if self._active and self._source.link.live:
                    follower = tasks.create_task(self._follow(self.query), name=f"view {self._slot}")

    async def _follow(self, query: ViewQuery) -> None:
        """Until the link is lost or the hub says no; what fails otherwise is told and tried again after a while."""
        try:
            while await self._subscribe_once(query):
                pass
            problem = FilterProblem("the hub ended the view")
        except CallRefused as error:
            self.problem, self.stale = problem_of(error), True
            return
        except LinkLost as error:
            if not self._source.link.live:
                return  # the link's state says so; `start` comes when it is back
            problem = FilterProblem(clean(str(error), limit=300))
        except TooNew as error:  # asking again would be answered with the same
            self.problem, self.stale = FilterProblem(clean(str(error), limit=300)), True
            await self._source.unsubscribe(self._slot)
            return
        except UserError as error:
            problem = FilterProblem(clean(str(error), limit=300))
        except Exception as error:
            problem = FilterProblem(describe_fault(error))
        self.problem, self.stale = problem, True
        await asyncio.sleep(RETRY_AFTER)
        self._wake.set()

    async def _subscribe_once(self, query: ViewQuery) -> bool:
        """One subscription; True where it must be made again."""
        pushes = self._source.subscribe(verbs.VIEW, self._slot, query.args())
        async with aclosing(cast(Any, pushes)) as stream:
            async for push in stream:
                if not isinstance(push, Snapshot | Delta):
                    continue
                if isinstance(push, Snapshot) and not self.loaded_query.same_rows(query):
                    self.window.clear()
                if self.filter_input == query.filter:
                    self.problem = None
                self.loaded_query, self.updated_at, self.stale = query, self._source.now(), False
                if not self.window.apply(push):
                    return True
        return False


def problem_of(error: CallRefused) -> FilterProblem:
    """The text of a refusal, and the place in the filter that it names."""
    text = clean(error.problem, limit=300)
    found = _AT.match(text)
    if error.code == "filter" and found:
        return FilterProblem(found[2], int(found[1]))
    return FilterProblem(text)
