"""Runs one of the hidden commands of agent/cli.py in a short-lived child, so that this process never loads
`cryptography` (common/identity/csr.py says why).
"""

from __future__ import annotations

import asyncio
import sys
from typing import Final

from agent.detach import child_environment, self_command
from agent.state import StateFolder
from common.errors import WorkFailed

CHILD_TIMEOUT: Final = 60.0
_MAX_STDERR: Final = 2_000


async def run_child(state: StateFolder, command: str, *arguments: str, stdin: bytes = b"") -> None:
    """Runs one of the hidden commands of agent/cli.py; raises WorkFailed with its standard error."""
    try:
        child = await asyncio.create_subprocess_exec(
            *self_command(command, "--state", str(state.path), *arguments),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            env=child_environment(),
        )
    except OSError as error:
        raise WorkFailed(
            f"cannot start {sys.executable} ({error.strerror})", "see the limits of this service"
        ) from None
    try:
        async with asyncio.timeout(CHILD_TIMEOUT):
            _, complaint = await child.communicate(stdin)
    except TimeoutError:
        raise WorkFailed(f"{command} took longer than {CHILD_TIMEOUT:.0f} s", "is the machine overloaded?") from None
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()
    if child.returncode != 0:
        raise WorkFailed(f"{command} failed", complaint.decode("utf-8", "replace").strip()[-_MAX_STDERR:])
