"""What the console does with its terminal beside painting: it gives it to the operator's own editor and takes it back,
and it puts what is copied on its clipboard. On the demo world, in a pty.
"""

from __future__ import annotations

import base64
import re
import sys
from pathlib import Path

from common.catalogue import translate
from tests.end_to_end.pty_terminal import PtyTerminal
from tui.dialogs.dialog import Dialog

EDITOR = """#!/bin/sh
printf '\\033[2J\\033[Hthis is the editor\\n'
read line
sed -i 's/^run: .*/run: uptime/' "$1"
"""


def console(folder: Path, editor: str) -> PtyTerminal:
    script = folder / "editor"
    script.write_text(editor)
    script.chmod(0o755)
    argv = [sys.executable, "-m", "tui", "console", "--demo", "--language", "en"]
    return PtyTerminal(argv, 80, 24, env={"EDITOR": str(script), "VISUAL": ""})


async def open_edit(terminal: PtyTerminal) -> None:
    await terminal.wait_for_line("enter", "Open")  # what needs somebody first is a job that is stuck
    await terminal.press("3")
    await terminal.wait_for_line(">", translate("en", "console_request_asking"))
    await terminal.press("e")
    await terminal.wait_past_guard(Dialog.GUARD_SECONDS, "F4 in $EDITOR")


async def test_a_plan_is_written_in_the_operators_editor(tmp_path: Path) -> None:
    """The editor has the terminal and its keys; what it saved stands in the dialog, and the screen is whole again."""
    async with console(tmp_path, EDITOR) as terminal:
        await open_edit(terminal)
        terminal.capture("editor-1-dialog")
        await terminal.press("f4")
        await terminal.wait_for_line("this is the editor")
        terminal.capture("editor-2-editor")
        assert not terminal.line_with("F4 in $EDITOR")
        await terminal.press("enter")
        await terminal.wait_for_line(translate("en", "console_edit_saved"))
        await terminal.wait_for_line("run: uptime")
        terminal.capture("editor-3-back")
        assert terminal.line_with("3Appr")
        assert not terminal.line_with("this is the editor")
        await terminal.press("f2")
        await terminal.wait_for_line("+run: uptime")


async def test_an_editor_that_is_not_there_is_told(tmp_path: Path) -> None:
    """With the cure; the text is as it was, and the console goes on."""
    async with console(tmp_path, "#!/bin/sh\nexit 3\n") as terminal:
        await open_edit(terminal)
        run = terminal.line_with("run:")
        await terminal.press("f4")
        await terminal.wait_for_line("set $EDITOR to one that is there")
        assert terminal.line_with(run.strip(" │"))
        assert terminal.line_with("F4 in $EDITOR")


async def test_what_is_copied_is_on_the_terminals_clipboard(tmp_path: Path) -> None:
    """By OSC 52, which terminals and tmux take, and ssh passes on: the exact command."""
    async with console(tmp_path, "") as terminal:
        await terminal.wait_for_line("enter", "Open")
        await terminal.press("2")
        await terminal.wait_for_line(">", translate("en", "console_job_running"))
        await terminal.press("y")
        await terminal.wait_past_guard(Dialog.GUARD_SECONDS, translate("en", "console_copy_command"))
        await terminal.press("down", "enter")
        await terminal.wait_for_line("OSC 52")
        (found,) = re.findall(rb"\x1b\]52;c;([A-Za-z0-9+/=]+)(?:\x07|\x1b\\\\)", terminal.raw)
        assert base64.b64decode(found).startswith(b"/")
