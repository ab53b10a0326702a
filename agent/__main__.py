"""answerback-agent, and `python -m agent`."""

from __future__ import annotations

from collections.abc import Callable

from common.process.program import start


def _load() -> Callable[[], object]:
    from agent.cli import main

    return main


def main() -> None:
    start("answerback-agent", _load)


if __name__ == "__main__":
    main()
