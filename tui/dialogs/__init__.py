"""Dialogs: what an act asks before it is done. Each works on a frozen copy, by id; what moves behind it cannot
change its target.

dialog     the base: box, note, keys, the link, the pause before the first key counts
approve    exactly what runs, the code, every answer the hub can give
reject     a reason from a list
edit       editor, what changes and what policy says, reason and code
stop       cancel and kill; ends with what really happened
settle     a person's word on an unknown outcome
priority   the place in the queue
run        a new command
count      an action on many rows: their number must be typed
hold       pause and drain
standing   what is allowed for a while, and taken back
pick       one of a list: copy, help; palette: actions, screens and settings by name
flows      what each action does: its dialog, the call, the outcome
"""
