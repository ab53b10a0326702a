"""answerback-hub, and `python -m hub`: where only the agent is installed it says what is missing."""

from __future__ import annotations

import sys


def main() -> None:
    try:
        from hub.cli import main as run  # what it needs is an extra
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] in ("common", "hub"):
            raise
        sys.stderr.write(f"answerback-hub: {error.name} is not installed here: pip install 'answerback[hub]'\n")
        sys.exit(2)
    run()


if __name__ == "__main__":
    main()
