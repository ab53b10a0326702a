"""Rows and records as what is drawn: cells, lines, bars. Pure.

columns        the columns of each list, with the cell of each; column: what a column is
states         the words of states, and their tones
events         what happened, in one line of words an event
detail         the detail of a job, request, machine or event
bars           the lines at the top and bottom
output_groups  equal outputs of many machines, folded
models, inlets the servers of language models; the chats
command_line   the `:` line
"""
