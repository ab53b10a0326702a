"""hub.cli.options: --config before or behind the command, and addresses as this machine reaches them."""

from __future__ import annotations

from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from common.errors import UserError
from common.values import Address
from hub.cli import options
from hub.config import HubConfig


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> click.Group:
    """A group with one command that prints the file it was given."""
    monkeypatch.setattr(options, "load_config", lambda path: str(path))

    @click.group()
    @options.config_file_option
    @click.pass_context
    def group(context: click.Context, config_file: str | None) -> None:
        context.obj = config_file

    @group.command("show")
    @options.config_option
    def show(config: HubConfig) -> None:
        click.echo(config)

    return group


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        (["show"], "/etc/elsewhere.toml"),
        (["show", "--config", "a.toml"], "a.toml"),
        (["--config", "b.toml", "show"], "b.toml"),
        (["--config", "b.toml", "show", "--config", "a.toml"], "a.toml"),
    ],
)
def test_the_file_is_named_before_or_behind_the_command(
    arguments: list[str], shown: str, command: click.Group, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command's own --config comes first, then the group's, then $ANSWERBACK_CONFIG."""
    monkeypatch.setenv("ANSWERBACK_CONFIG", "/etc/elsewhere.toml")
    ended = CliRunner().invoke(command, arguments)
    assert (ended.exit_code, ended.output.strip()) == (0, shown)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    """What the reader of hub.toml refuses comes through."""
    with pytest.raises(UserError, match=r"hub\.toml"):
        options.read_config(str(tmp_path / "hub.toml"))


@pytest.mark.parametrize(
    ("listen", "reached"),
    [("0.0.0.0", "127.0.0.1"), ("::", "::1"), ("127.0.0.1", "127.0.0.1"), ("hub.example.org", "hub.example.org")],  # noqa: S104  not listened on
)
def test_a_wildcard_address_is_reached_by_loopback(listen: str, reached: str) -> None:
    """The port stays, and so does a host that is none."""
    assert options.local_address(Address(listen, 8080)) == Address(reached, 8080)
