"""A command as a person writes it: a line becomes words and filters, or a refusal with the cure; and back. Pure.

grammar         a line from a person becomes an argument vector
lookalikes      characters that are not what they seem: hidden ones, and those that pass for ASCII
output_filters  `| grep`, `| head` … behind a command, done by the agent's own code
filter_docs     docs/filters.md, made of them
line            a command and its filters as one line, and back
"""
