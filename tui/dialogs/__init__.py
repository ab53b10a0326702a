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
broadcast  one command for many: the count is typed, the first seconds can be taken back
hold       pause and drain
pick       one of a list: copy, help
"""
