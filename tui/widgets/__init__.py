"""Widgets drawn line by line: they repaint single cells, take no markup, and get their text made safe.

line_widget  the base: tones, gutter, our own scrolling
table     rows of a window by columns; the cursor is a row's id
text      lines of text: details, plans, diffs
output    what a command prints: absolute line numbers, follow, search; output_pages: pages of it from the hub;
          fetch_outputs: what the machines of a request printed
detail    one thing in full, in tabs
prompt    the line where a filter, a command or a search is typed; bindings: its keys, from the registry of actions
digits    the field for a code
choices   one of a few, in a row or a list
bars      top line, status line, line of keys
workers   background tasks whose failure does not end the app
"""
