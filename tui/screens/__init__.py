"""Screens: one a mode, each with the top line, the status line and the line of keys that never hide.

base       what all have in common: bars, prompt, acts, the rhythm
place      where a cursor was, and whether it has passed to another row by itself; pure
listing    a table with filter, order and detail: Jobs, Approve, Agents, Audit
overview   lanes, what needs you, fleet, activity
polled     a table of what the hub is asked for every other second, while it is shown
models     servers of language models; only where the hub has some
inlets     the chats: do messages come, do replies go; on a screen before the others
full       a detail on a screen of its own, where there is no room beside the table
"""
