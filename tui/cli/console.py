"""answerback console: the full screen, on the hub of the profile or on the demo world."""

from __future__ import annotations

import gc
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import click

from common.catalogue import LANGUAGES, Language
from common.errors import UserError
from common.process.encoding import UNSET, UTF_8, normalize, terminal_encoding
from common.read_file import read_toml
from common.times import local_zone
from tui.model.settings import ConsoleSettings
from tui.terminal import theme_names

# What draws the screen takes half a second to load, and every other command goes through this file too: it is loaded
# where it is used.

THEME_CHOICES: Final = ("auto", *theme_names.THEME_NAMES)
SIZES: Final = ("small", "large")


def detect_language(environment: dict[str, str]) -> Language:
    """The console follows the locale: Chinese where it begins with zh, else English (POSIX: LC_ALL before LANG)."""
    locale = environment.get("LC_ALL") or environment.get("LC_MESSAGES") or environment.get("LANG") or ""
    return "zh" if locale.lower().startswith("zh") else "en"


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsoleOptions:
    """The options of the command, by their names."""

    demo: bool = False
    seed: int = 7
    size: Literal["small", "large"] = "small"
    read_only: bool = False
    slow: bool = False
    ascii: bool | None = None
    theme: str = "auto"
    language: Language | None = None
    no_mouse: bool = False
    log: Path | None = None
    hide_codes: bool = False
    keymap: Path | None = None
    acts: bool = False


def build_settings(
    options: ConsoleOptions, environment: dict[str, str], stream: str | None = UTF_8, *, assumed: bool = False
) -> ConsoleSettings:
    """The console's settings from the options, and from the environment where an option was not given; `stream` and
    `assumed` are those of `terminal_encoding`.
    """
    encoding = terminal_encoding(environment, stream, assumed=assumed)
    theme = options.theme
    if theme == "auto":
        theme = "ansi" if options.slow else theme_names.detect_theme(environment.get("COLORFGBG", ""))
    return ConsoleSettings(
        language=options.language or detect_language(environment),
        theme=theme,
        ascii=encoding != UTF_8 or environment.get("TERM") in ("linux", "dumb", "vt100")
        if options.ascii is None
        else options.ascii,
        read_only=options.read_only,
        slow=options.slow,
        hide_codes=options.hide_codes,
        log=options.log,
        zone=local_zone,
        encoding=_written_encoding(encoding, stream),
    )


def _written_encoding(encoding: str, stream: str | None) -> str:
    """What may be written: where the terminal is said to be another than the stream is written for, ASCII alone. The C
    locale does not say which it is; what data holds goes out as it is.
    """
    if encoding in (UTF_8, UNSET):
        return UTF_8
    return encoding if encoding == normalize(stream or "") else "ascii"


def read_keymap(path: Path) -> dict[str, str]:
    """keymap.toml: ID = "keys", ids as the help shows them; raises UserError that names the one that is none."""
    from tui.model.actions import ACTION_BY_ID

    found = read_toml(path)
    for name, keys in found.items():
        if name not in ACTION_BY_ID or not isinstance(keys, str):
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
@click.option(
    "--ascii/--no-ascii", default=None, help="no signs beyond ASCII but what data holds  [default: as the locale]"
)
@click.option("--theme", type=click.Choice(THEME_CHOICES), default="auto", show_default=True)
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
    options = ConsoleOptions(**given)
    if options.acts:
        list_actions()
        return
    if not (all(stream.isatty() for stream in (sys.stdin, sys.stdout, sys.stderr))):
        raise UserError("the console needs a terminal", "use answerback watch, jobs or agents, which print lines")
    if options.slow:  # Textual reads these while it is imported
        os.environ.setdefault("TEXTUAL_ANIMATIONS", "none")
        os.environ.setdefault("TEXTUAL_SMOOTH_SCROLL", "0")
    os.environ.setdefault("TEXTUAL_FPS", "30" if options.slow else "60")  # a key is painted in the next one
    keymap = read_keymap(options.keymap) if options.keymap else {}
    sys.exit(run_console(options, keymap, getattr(context.obj, "profile", None)))


def run_console(options: ConsoleOptions, keymap: dict[str, str], profile: Path | None) -> int:
    """Runs the console to its end; the exit status."""
    from tui.app import ConsoleApp
    from tui.model.context import ConsoleContext
    from tui.model.saved_views import SavedViews
    from tui.terminal.restore import restored_terminal

    stream = sys.__stderr__.encoding if sys.__stderr__ is not None else None  # where Textual writes
    settings = build_settings(options, dict(os.environ), stream, assumed=bool(sys.flags.utf8_mode))
    if options.demo:
        from tui.demo.source import DemoSource

        console = ConsoleContext(DemoSource(options.seed, options.size, language=settings.language), settings)
    else:
        from tui.client.approval_key import ApprovalSigner
        from tui.client.hub_source import HubSource
        from tui.client.profile import read_profile

        found = read_profile(profile)
        console = ConsoleContext(HubSource(found), settings, SavedViews(found.path), ApprovalSigner(found))
    app = ConsoleApp(console, keymap=keymap)
    gc.freeze()  # what is loaded stays: a garbage collection of all of it would stop the screen for a moment
    with restored_terminal():
        app.run(mouse=not options.no_mouse and not settings.slow)
    return app.return_code or 0


def list_actions() -> None:
    """Every act, one a line."""
    from tui.model.actions import ACTIONS, format_keys

    for act in ACTIONS:
        click.echo(f"{act.id:<16} {format_keys(act.keys):<14} {act.label('en'):<44} {act.cli_command}".rstrip())


if __name__ == "__main__":
    console_command()
