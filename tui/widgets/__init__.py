"""Widgets drawn line by line: they repaint single cells, take no markup, and get their text made safe.

painted   the base: tones, gutter, our own scrolling
table     rows of a window by columns; the cursor is a row's id
text      lines of text: details, plans, diffs
output    what a command prints: absolute line numbers, follow, search
digits    the field for a code
choices   one of a few, in a row or a list
bars      top line, status line, line of keys
"""
