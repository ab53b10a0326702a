"""What operators use: the command line `answerback`, and its full-screen console.

From the top down; each room imports only rooms below it (contracts in pyproject.toml):

    cli/       the commands: run, look, watch, approve, pause, audit, runbooks, console
    demo/      a world without a hub, for docs, tests and newcomers; the console cannot tell it from a hub
    app        the console as a whole: screens, keys, the frame clock
    screens/   one a mode: jobs, approvals, agents, audit, overview, models
    dialogs/   what an action asks before it is done, and the flow of each action
    widgets/   drawn line by line: table, text, output, bars, prompt
    view/      pure: rows and records as cells and lines
    model/     what the console knows and may do: windows of lists, the registry of actions, plans as text
    client/    one connection to the hub: calls, subscriptions, profile, certificate
    terminal/  what is written to the terminal: frames, styles, themes, key repeat; nothing hostile gets through
    text/      values as text, for console and command line

Rows are identified by id and never by position, so that a list that moves under the cursor cannot change what an action
applies to. Whether an action is possible, and why not, is decided in `model` alone; key, footer, palette and command
line all ask there.
"""
