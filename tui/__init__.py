"""What operators use: the command line, and the console.

profile   who I am and where my hub is: the folder that `init` or `login` writes
client    one connection to the hub: calls and subscriptions
cli       answerback
show      tables and lines for terminals; hostile text made safe
"""
