"""answerback-hub, and `python -m hub`: where only the agent is installed it says what is missing."""

from __future__ import annotations

from collections.abc import Callable

from common.process.program import start


def _load() -> Callable[[], object]:
    from hub.cli.main import main  # what it needs is an extra

    return main


def main() -> None:
    start("answerback-hub", _load, "hub")


if __name__ == "__main__":
    main()
