"""python -m tui is answerback."""

from tui.cli import main

main()
