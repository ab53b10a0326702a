"""Screens: one a mode, each with the top line, the status line and the line of keys that never hide.

base       what all have in common: bars, prompt, acts, the rhythm
place      where a cursor was, and whether it has passed to another row by itself; pure
listing    a table with filter, order and detail: Jobs, Approve, Agents, Audit
overview   lanes, what needs you, fleet, activity
models     servers of language models, asked for every other second; only where the hub has some
full       a detail on a screen of its own, where there is no room beside the table
"""
