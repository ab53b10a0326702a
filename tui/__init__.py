"""What operators use: the command line, and the console.

profile   who I am and where my hub is: the folder that `init` or `login` writes
login     the first contact: a token becomes a profile
client    one connection to the hub: calls and subscriptions
renewal   the next certificate, over a link that is up anyway; several programs may share a profile
cli       answerback: run (cli_run), look (cli_look, cli_audit), follow (cli_watch; plain: the console as lines),
          step in (cli_acts, cli_control), the console (cli_console)
saved     views saved by name, for the console and the command line
show      tables and lines for terminals; hostile text made safe
streams   output of jobs onto standard output: bytes into files, safe text onto terminals

The console, from the pure inwards to the screen:

source      where its facts come from: source_hub (a hub) or demo (a world without one)
model       a window of rows by id, kept true by snapshots and deltas; live follows one view
lines       what a command prints: bounded, safe, numbered; older: pages of it from the hub; folded: of many machines
commands    every act once: keys, names, when it is off and why, confirmation, its command-line twin
rows        columns of tables; detail_text: things in full; headline: the lines that never hide; format: cells
plan_text   a plan as text to edit; outside: in the operator's own editor; filter_text, command_line: what is typed;
            answers: what the hub said to an act
faults      what goes wrong in the console itself: told in a line, logged; workers: whose failure ends nothing
held        a key that is held down is one press
console     what all screens share; pace: how often they are brought up to date; safety: the last gate; looks, theme
frame       the cells on the terminal and the fewest bytes that change them; ink: their styles; terminal: who sends them
widgets     drawn line by line; screens: one a mode; dialogs: what an act asks; flows: what an act does; app: the whole
"""
