"""`answerback-hub units DIR`: the systemd units of this installation, for this hub's folder.

The units are in the wheel as data (share/answerback/systemd) and in a checkout under systemd/. They are written for
/opt/answerback and /var/lib/answerback; what is installed elsewhere, or keeps its hub elsewhere, gets its own paths.
"""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Final

import click

from common.errors import UserError
from common.files import create_folder, write_file
from hub.cli.options import config_option
from hub.config import HubConfig

UNITS: Final = ("answerback-hub.service", "answerback-agent.service", "answerback-runner.service")
DATA: Final = "share/answerback/systemd"
STANDARD_PROGRAMS: Final = "/opt/answerback/bin"
STANDARD_FOLDER: Final = "/var/lib/answerback"
HIDDEN: Final = ("/home/", "/root/", "/run/user/", "/tmp/")  # noqa: S108  where ProtectHome= and PrivateTmp= hide things


def unit_texts() -> dict[str, str]:
    """The units as they are in the wheel, or in the checkout that this runs from; raises UserError."""
    beside = Path(__file__).resolve().parents[2] / "systemd"
    found: dict[str, Path] = {name: beside / name for name in UNITS if (beside / name).is_file()}
    if len(found) < len(UNITS):
        for file in metadata.files("answerback") or ():
            if file.name in UNITS and DATA in file.as_posix():
                found[file.name] = Path(str(file.locate()))
    missing = [name for name in UNITS if name not in found]
    if missing:
        raise UserError(
            f"this installation has no {missing[0]}", "install the wheel again, or copy it from the sources"
        )
    return {name: path.read_text(encoding="utf-8") for name, path in found.items()}


def fit_unit(text: str, programs: str, config: Path, written: Sequence[Path]) -> str:
    """A unit with this installation's programs and this hub's folder. `written` are folders besides that of hub.toml
    that the hub writes into. Pure.
    """
    text = text.replace(f"{STANDARD_PROGRAMS}/", f"{programs}/")
    folder = str(config.parent)
    if folder != STANDARD_FOLDER and f"{STANDARD_FOLDER}/hub.toml" in text:
        text = re.sub(
            r"(?m)^(# .*\n)StateDirectory=answerback\n(?:# .*\n)StateDirectoryMode=0700\n", _paths_lines, text
        )
        text = text.replace(f"{STANDARD_FOLDER}/hub.toml", str(config))
        text = text.replace(f"`answerback-hub init {STANDARD_FOLDER}`", f"`answerback-hub init {folder}`")
        text = text.replace("@FOLDERS@", " ".join(map(_systemd_word, [config.parent, *written])))
    elif written:
        text = text.replace(
            "ProtectSystem=strict\n",
            f"ProtectSystem=strict\n# The store is there.\nReadWritePaths={' '.join(map(_systemd_word, written))}\n",
        )
    return text


def _paths_lines(match: re.Match[str]) -> str:
    return f"{match[1]}ReadWritePaths=@FOLDERS@\n"


def _systemd_word(path: Path) -> str:
    """A path in a unit file: % is a specifier there, and a space ends a word."""
    text = str(path).replace("%", "%%")
    return f'"{text}"' if " " in text else text


def written_folders(config: HubConfig) -> list[Path]:
    """Where the hub writes besides the folder of hub.toml: an SQLite store that is elsewhere."""
    if not config.store.url.startswith("sqlite:///"):
        return []
    folder = Path(config.store.url.removeprefix("sqlite:///")).parent
    return [] if folder.is_relative_to(config.path.parent) else [folder]


def next_steps(folder: Path, programs: str, config: Path) -> list[str]:
    """What is left to do by hand, as commands to paste; behind a # what each is for."""
    hub_folder, config_option_text = shlex.quote(str(config.parent)), f"--config {shlex.quote(str(config))}"
    steps = [
        "the hub, on this machine, as root:",
        f"  useradd --system --home-dir {hub_folder} --shell /usr/sbin/nologin answerback",
        f"  chown -R answerback: {hub_folder}",
        "  systemctl daemon-reload && systemctl enable --now answerback-hub",
        f"  {programs}/answerback-hub operator profile {config_option_text}   # gives you the admin's profile",
        "a machine: copy answerback-agent.service and answerback-runner.service there, and as root:",
        "  useradd --system --home-dir /var/lib/answerback-agent --shell /usr/sbin/nologin answerback-agent",
        "  useradd --system --home-dir /var/lib/answerback-agent --shell /usr/sbin/nologin answerback-runner",
        "  systemctl daemon-reload && systemctl enable --now answerback-runner answerback-agent",
    ]
    if str(folder) != "/etc/systemd/system":
        steps.insert(1, f"  cp {shlex.quote(str(folder))}/answerback-hub.service /etc/systemd/system/")
    return steps


def warnings(programs: str, config: Path) -> list[str]:
    """What the units' sandbox would hide from them."""
    return [
        f"{path} is hidden from services (ProtectHome=, PrivateTmp=): {cure}"
        for path, cure in (
            (programs, "install into /opt/answerback"),
            (str(config), f"move the hub to {STANDARD_FOLDER} or /etc/answerback"),
        )
        if f"{path}/".startswith(HIDDEN)
    ]


def write_units(folder: Path, config: HubConfig, programs: str) -> list[Path]:
    """Writes the three units into the folder, replacing those of before; raises UserError."""
    texts: Mapping[str, str] = unit_texts()
    create_folder(folder, 0o755)
    written = []
    for name, text in texts.items():
        write_file(folder / name, fit_unit(text, programs, config.path, written_folders(config)).encode(), 0o644)
        written.append(folder / name)
    return written


@click.command("units", short_help="Write the systemd units of this installation.")
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@config_option
def units_command(config: HubConfig, folder: Path) -> None:
    """Write the systemd units of hub, agent and runner into DIR, with the paths of this installation and of this hub's
    folder, and print what is left to do.

    \b
    answerback-hub units /etc/systemd/system
    answerback-hub units ./units --config /var/lib/answerback/hub.toml
    """
    programs = str(Path(sys.prefix) / "bin")
    for path in write_units(folder.absolute(), config, programs):
        click.echo(f"wrote {path}")
    for line in warnings(programs, config.path):
        click.echo(f"answerback-hub: {line}", err=True)
    for line in next_steps(folder.absolute(), programs, config.path):
        click.echo(line)
