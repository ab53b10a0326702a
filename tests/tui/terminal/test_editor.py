"""A text in the operator's own editor; the whole of it, in a pty, is in tests/end_to_end/test_console_terminal.py."""

from __future__ import annotations

from pathlib import Path

import pytest

from common.errors import UserError
from tests.tui.demo_console import demo_console
from tui.terminal.editor import edit_in_editor


async def test_a_terminal_that_cannot_be_given_away_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No editor is started then, and the console goes on."""
    monkeypatch.setenv("EDITOR", f"touch {tmp_path}/ran")
    monkeypatch.delenv("VISUAL", raising=False)
    async with demo_console() as driven:
        with pytest.raises(UserError, match="edit here"):
            await edit_in_editor(driven.app, "run: uptime\n")
        assert not (tmp_path / "ran").exists()
        await driven.press("2")
        await driven.wait_until(lambda: driven.app.current_mode == "jobs")
