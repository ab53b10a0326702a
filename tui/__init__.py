"""What operators use: the command line, and the console.

profile   who I am and where my hub is: the folder that `init` or `login` writes
login     the first contact: a token becomes a profile
client    one connection to the hub: calls and subscriptions
renewal   the next certificate, over a link that is up anyway; several programs may share a profile
cli       answerback: run (cli_run), look (cli_look), step in (cli_acts, cli_control), the console (cli_console)
show      tables and lines for terminals; hostile text made safe
streams   output of jobs onto standard output: bytes into files, safe text onto terminals

The console, from the pure inwards to the screen:

source      where its facts come from: source_hub (a hub) or demo (a world without one)
model       a window of rows by id, kept true by snapshots and deltas; live follows one view
lines       what a command prints: bounded, safe, numbered
commands    every act once: keys, names, when it is off and why, confirmation, its command-line twin
rows        columns of tables; detail_text: things in full; headline: the lines that never hide; format: cells
plan_text   a plan as text to edit; filter_text, command_line: what is typed; answers: what the hub said to an act
console     what all screens share; pace: how often they are brought up to date; safety: the last gate; looks, theme
widgets     drawn line by line; screens: one a mode; dialogs: what an act asks; flows: what an act does; app: the whole
"""
