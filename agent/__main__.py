"""`python -m agent` is `answerback-agent`."""

from agent.cli import main

if __name__ == "__main__":
    main()
