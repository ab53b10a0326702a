"""answerback, and `python -m tui`: where only the agent is installed it says what is missing."""

from __future__ import annotations

import gc
from collections.abc import Callable

from common.process.lean import WEBSOCKETS, without
from common.process.program import start


def _load() -> Callable[[], object]:
    with without(hollow=WEBSOCKETS):
        import websockets.asyncio.client  # noqa: F401

    from tui.cli.main import main  # what it needs is an extra

    return main


def main() -> None:
    # What is loaded stays: to look through it for garbage again and again is a tenth of the time that loading takes.
    gc.set_threshold(100_000, 10, 10)
    start("answerback", _load, "console", leave_at_once=True)


if __name__ == "__main__":
    main()
