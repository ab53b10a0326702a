"""answerback console: the full screen, on the hub of the profile or on the demo world."""

from __future__ import annotations

import gc
import os
import sys
from pathlib import Path
from typing import Any, Final

import click

from common.catalogue import LANGUAGES, Language
from common.config import read_toml
from common.errors import UserError
from tui import looks

# What draws the screen takes half a second to load, and every other command goes through this file too: it is loaded
# where it is used.

THEMES: Final = ("auto", *looks.NAMES)
SIZES: Final = ("small", "large")


def language_of(environment: dict[str, str]) -> Language:
    """The console follows the locale: Chinese where it begins with zh, else English (POSIX: LC_ALL before LANG)."""
    locale = environment.get("LC_ALL") or environment.get("LC_MESSAGES") or environment.get("LANG") or ""
    return "zh" if locale.lower().startswith("zh") else "en"


def settings_of(given: dict[str, Any], environment: dict[str, str]) -> dict[str, Any]:
    """`tui.console.Settings` from what was given, and from the environment where nothing was."""
    chosen = given["theme"]
    slow = bool(given["slow"])
    if chosen == "auto":
        chosen = "ansi" if slow else looks.auto(environment.get("COLORFGBG", ""))
    return {
        "language": given["language"] or language_of(environment),
        "theme": chosen,
        "ascii": bool(given["ascii"]) or environment.get("TERM") in ("linux", "dumb", "vt100"),
        "read_only": bool(given["read_only"]),
        "slow": slow,
        "hide_codes": bool(given["hide_codes"]),
        "log": given.get("log"),
    }


def read_keymap(path: Path) -> dict[str, str]:
    """keymap.toml: ID = "keys", ids as the help shows them; raises UserError that names the one that is none."""
    from tui.commands import BY_ID

    found = read_toml(path)
    for name, keys in found.items():
        if name not in BY_ID or not isinstance(keys, str):
            raise UserError(
                f"{path}: {name} is no act with keys",
                'write for example kill = "X"; `answerback console --acts` lists them',
            )
    return {name: str(keys) for name, keys in found.items()}


@click.command("console")
@click.option("--demo", is_flag=True, help="a living world without a hub, to try everything on")
@click.option("--seed", type=int, default=7, show_default=True, help="another demo world")
@click.option("--size", type=click.Choice(SIZES), default="small", show_default=True, help="of the demo world")
@click.option("--read-only", is_flag=True, help="look, change nothing")
@click.option("--slow", is_flag=True, help="for slow links: one update a second, the terminal's own colours, no mouse")
@click.option("--ascii", is_flag=True, help="no signs beyond ASCII but what data holds")
@click.option("--theme", type=click.Choice(THEMES), default="auto", show_default=True)
@click.option("--language", type=click.Choice(LANGUAGES), help="[default: as the locale]")
@click.option("--no-mouse", is_flag=True, help="leave the mouse to the terminal")
@click.option("--log", type=click.Path(path_type=Path, dir_okay=False), help="a file for faults of the console's own")
@click.option("--hide-codes", is_flag=True, help="dots for the digits of codes, for recordings")
@click.option(
    "--keymap", type=click.Path(path_type=Path, dir_okay=False, exists=True), help='a TOML file: act = "keys"'
)
@click.option("--acts", is_flag=True, help="list every act with its id, keys and command line, and leave")
@click.pass_context
def console_command(context: click.Context, /, **given: Any) -> None:
    """The full-screen console: queues, latency, machines, and everything an operator does about them.

    \b
    answerback console
    answerback console --demo                              a living world without a hub, to try everything on
    answerback console --slow --ascii                      over a bad link, in a plain terminal
    """
    if given["acts"]:
        list_acts()
        return
    if not (all(stream.isatty() for stream in (sys.stdin, sys.stdout, sys.stderr))):
        raise UserError("the console needs a terminal", "use answerback watch, jobs or agents, which print lines")
    chosen = settings_of(given, dict(os.environ))
    if chosen["slow"]:  # Textual reads these while it is imported
        os.environ.setdefault("TEXTUAL_ANIMATIONS", "none")
        os.environ.setdefault("TEXTUAL_SMOOTH_SCROLL", "0")
    os.environ.setdefault("TEXTUAL_FPS", "30" if chosen["slow"] else "60")  # a key is painted in the next one
    keymap = read_keymap(given["keymap"]) if given["keymap"] else {}
    profile = getattr(context.obj, "profile", None)
    sys.exit(
        run(
            chosen,
            keymap,
            demo=given["demo"],
            seed=given["seed"],
            size=given["size"],
            profile=profile,
            mouse=not given["no_mouse"],
        )
    )


def run(
    chosen: dict[str, Any],
    keymap: dict[str, str],
    *,
    demo: bool,
    seed: int,
    size: Any,
    profile: Path | None,
    mouse: bool,
) -> int:
    """Runs the console to its end; the exit status."""
    from tui.app import ConsoleApp
    from tui.console import Console, Settings
    from tui.saved import Saved

    settings = Settings(**chosen)
    if demo:
        from tui.demo.source import DemoSource

        console = Console(DemoSource(seed, size, language=settings.language), settings)
    else:
        from tui.profile import read_profile
        from tui.source_hub import HubSource

        found = read_profile(profile)
        console = Console(HubSource(found), settings, Saved(found.path))
    app = ConsoleApp(console, keymap=keymap)
    gc.freeze()  # what is loaded stays: looking through all of it would stop the screen for a moment now and then
    app.run(mouse=mouse and not settings.slow)
    return app.return_code or 0


def list_acts() -> None:
    """Every act, one a line."""
    from tui.commands import ACTS, key_signs

    for act in ACTS:
        click.echo(f"{act.id:<16} {key_signs(act.keys):<14} {act.name('en'):<44} {act.twin}".rstrip())


if __name__ == "__main__":
    console_command()
