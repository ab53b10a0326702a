"""Where the console's facts come from: a hub (`tui.source_hub`) or the demo world (`tui.demo`). One interface, two
of it.

The link is kept by `keep()`, which connects, connects again, and says so in `link`; it holds the `overview`
subscription itself, since
the top line always needs it. Calls raise what `tui.client` raises: BadCall, CallRefused (with a code), CallFailed,
LinkLost.

Subscriptions are `subscribe(verb, slot, …)`. `slot` is a short text that the console chooses (`jobs`, `output`); a new
subscription in the same slot replaces the one before it, and `unsubscribe(slot)` ends it. What the hub's pushes are is
told in `hub.desk_live`:

    view      view, filter, sort, lo, n
              {"seq", "total", "all", "lo", "rows": [{"id", …}]}, then, at most ten a second and last value wins,
              {"seq", "total", "all", "lo", "upsert": [rows], "gone": [ids], "order": [ids]}; seq grows by one, and
              "order" comes when the window's rows or their places are other ones
    output    job, after     {"chunks": [{"seq", "stream", "data", "at"}], "ended": bool, …}
    overview                 {"lanes": […], "needs_you": […], "fleet": {…}, "counts": {…}, "hub": {…}}

A wrong filter is refused with the code `filter` and the reason `POSITION: words`; a right that is taken away ends a
subscription with {"error": words}.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from common.catalogue import Language

LinkState = Literal["connecting", "live", "lost"]


@dataclass(slots=True)
class Link:
    """How it stands with the hub."""

    state: LinkState = "connecting"
    since: float = 0.0  # hub's time as far as it is known
    retry_at: float | None = None
    reason: str = ""
    round_trip: float | None = None  # seconds
    bytes_in: int = 0

    @property
    def live(self) -> bool:
        return self.state == "live"


@dataclass(frozen=True, slots=True)
class Who:
    """What the hub says about me and itself; `verbs` is empty where an older hub does not say."""

    person: str
    roles: tuple[str, ...]
    hub: str
    version: str
    verbs: frozenset[str] = frozenset()
    denied: Mapping[str, str] = field(default_factory=dict)  # verb -> the role that it takes and I have not
    demo: str = ""  # the code that the demo world takes


class Source(Protocol):
    @property
    def link(self) -> Link: ...

    @property
    def who(self) -> Who | None: ...

    @property
    def overview(self) -> Mapping[str, Any]: ...

    @property
    def language(self) -> Language: ...

    @language.setter
    def language(self, language: Language) -> None:
        """The language that the hub's sentences come in from now on."""
        ...

    def now(self) -> float:
        """The hub's clock, seconds since the epoch."""
        ...

    async def keep(self, changed: Callable[[], None]) -> None:
        """Keeps the link until cancelled; `changed` is called when `link`, `who` or `overview` is another."""
        ...

    def retry(self) -> None:
        """Connects at once where the link is lost and waits."""
        ...

    async def call(self, verb: str, **args: Any) -> Any: ...

    def subscribe(self, verb: str, slot: str, **args: Any) -> AsyncIterator[Any]: ...

    async def unsubscribe(self, slot: str) -> None:
        """Ends what is in a slot; does nothing where nothing is, or the link is lost."""
        ...
