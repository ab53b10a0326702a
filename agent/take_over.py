"""`answerback-agent take-over`: a person's word that a state folder goes on where it is now.

For a disk that was moved to another machine, and for a backup that was put back. What was open when it was last used is
not known here any more and stays unknown until somebody says; the journal and the chain of links begin anew. It is no
way to use a copy beside its original: the hub notices the first of them that comes again, and locks both.
"""

from __future__ import annotations

import os

from agent.lock import is_locked
from agent.place import leave_word
from agent.state import StateFolder, moved_here_file
from common.errors import UserError


def take_over(state: StateFolder) -> str:
    """Leaves the word for the next start of both processes; what to tell. Raises UserError."""
    settings = state.settings()
    for lock, program in ((state.lock, "uplink"), (state.runner_lock, "runner")):
        if is_locked(lock):
            raise UserError(f"the {program} of {state.path} runs", "stop it first: this is for a folder that was moved")
    for folder in (state.uplink, state.runner):
        if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
            raise UserError(f"{folder} is not this user's", "run this with sudo")
    for folder in (state.uplink, state.runner):
        leave_word(folder, moved_here_file(folder), "anew")
    return (
        f"{state.path} goes on here as {settings.name} with its next start.\n"
        f"  The machine it was on before must not come back as {settings.name}: both would be locked out."
    )
