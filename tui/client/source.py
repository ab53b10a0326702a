"""Where the console's data comes from: a hub (`tui.client.hub_source`) or the demo world (`tui.demo`). One interface,
two implementations. Calls, results and pushes have the types of `common.api`.

The link is maintained by `maintain_link()`, which connects, reconnects, and reports in `link`; it holds the `overview`
subscription itself, since the top line always needs it. `call` raises what `tui.client.client` raises: InvalidCall,
CallRefused (with a code), CallFailed, LinkLost, TooNew, BadAnswer.

A subscription has a `slot`, a short text that the console chooses (`jobs`, `output`): a new subscription in the same
slot replaces the one before it, and `unsubscribe(slot)` ends it. A wrong filter is refused with the code `filter` and
the reason `POSITION: words`; a right that is taken away ends a subscription with CallRefused.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Literal, Protocol

from common.api.overview import Overview
from common.api.verb import A, R, Verb
from common.api.versions import Push
from common.api.whoami import WhoAmI
from common.catalogue import Language

LinkState = Literal["connecting", "live", "lost"]


@dataclass(slots=True)
class LinkStatus:
    """The state of the link to the hub."""

    state: LinkState = "connecting"
    since: float = 0.0  # hub's time as far as it is known
    retry_at: float | None = None
    reason: str = ""
    round_trip: float | None = None  # seconds
    bytes_in: int = 0
    warning: str = ""  # what does not work on a link that is live, as a sentence

    @property
    def live(self) -> bool:
        return self.state == "live"


class Source(Protocol):
    @property
    def link(self) -> LinkStatus: ...

    @property
    def who(self) -> WhoAmI | None:
        """Who the person is and what they may; None before the first link."""
        ...

    @property
    def overview(self) -> Overview | None:
        """The last overview; None before the first."""
        ...

    @property
    def demo_code(self) -> str:
        """The code of the second factor that the demo world takes; empty for a hub."""
        ...

    @property
    def language(self) -> Language: ...

    @language.setter
    def language(self, language: Language) -> None:
        """The language that the hub's sentences come in from now on."""
        ...

    def now(self) -> float:
        """The hub's clock, seconds since the epoch."""
        ...

    async def maintain_link(self, on_change: Callable[[], None]) -> None:
        """Keeps the link until cancelled; `on_change` is called when `link`, `who` or `overview` has changed."""
        ...

    def retry(self) -> None:
        """Connects at once where the link is lost and waits."""
        ...

    async def call(self, verb: Verb[A, R], args: A) -> R:
        """The verb's result; the language of `args` is the source's."""
        ...

    def subscribe(self, verb: Verb[A, R], slot: str, args: A) -> AsyncIterator[Push]:
        """The verb's pushes; the language of `args` is the source's, and what it replaces is what the slot had."""
        ...

    async def unsubscribe(self, slot: str) -> None:
        """Ends what is in a slot; does nothing where nothing is, or the link is lost."""
        ...
