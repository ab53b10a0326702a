"""python -m hub is answerback-hub."""

from hub.cli import main

main()
