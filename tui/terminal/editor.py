"""A text in the operator's own editor: the console gives the terminal away and takes it back."""

from __future__ import annotations

import asyncio
from typing import Any, Final

import click
from textual.app import App, SuspendNotSupported

from common.errors import UserError
from common.text import clean

MAX_TEXT: Final = 512 * 1024


async def edit_in_editor(app: App[Any], text: str, extension: str = ".plan") -> str | None:
    """What $VISUAL or $EDITOR made of `text`; None where nothing was saved. The link is kept meanwhile, and nothing is
    painted. Raises UserError where the terminal cannot be given away, or the editor failed.
    """
    failed: click.ClickException | None = None
    new: str | None = None
    try:
        with app.suspend(), app.batch_update():
            try:
                new = await asyncio.to_thread(click.edit, text, extension=extension)
            except click.ClickException as error:  # an error that leaves `suspend` would leave the terminal given away
                failed = error
    except SuspendNotSupported:
        raise UserError("this terminal cannot be given to an editor", "edit here") from None
    if failed is not None:
        raise UserError(clean(failed.message, limit=200), "set $EDITOR to one that is there")
    if new is not None and len(new) > MAX_TEXT:
        raise UserError(f"the text has {len(new):,} characters, at most {MAX_TEXT:,} are taken", "make it shorter")
    return new
