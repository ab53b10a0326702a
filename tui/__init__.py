"""What operators use: the command line, and the console.

profile   who I am and where my hub is: the folder that `init` or `login` writes
login     the first contact: a token becomes a profile
client    one connection to the hub: calls and subscriptions
renewal   the next certificate, over a link that is up anyway; several programs may share a profile
cli       answerback: run (cli_run), look (cli_look), step in (cli_acts), the console (cli_console)
show      tables and lines for terminals; hostile text made safe
streams   output of jobs onto standard output: bytes into files, safe text onto terminals
"""
