"""tui.cli.context: how requests are named, JSON, connecting."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.api import verbs
from common.api.arguments import NoArgs
from common.errors import UserError
from common.link.messages import LOGIN_ENDED, Answer, Call, Refuse
from tests.common.fake_hub import FakeHub
from tests.each import each_of
from tests.tui.profiles import create_profile
from tui.cli.context import CliContext, SecondsRange, is_request_number, parse_request_number, to_json
from tui.client.client import Client
from tui.client.errors import LinkLost

ME = {"person": "alice", "roles": ["viewer"], "hub": "h1", "version": "1"}


@each_of("text", ["42", "r42", "R42", "#42"])
def test_a_request_has_three_names(text: str) -> None:
    """As chat, tables and people write it."""
    assert parse_request_number(text) == 42
    assert is_request_number(text)


@each_of("text", ["", "r", "x42", "4 2", "-1", "٤٢", "r42r", "9" * 16, "1e3"])
def test_what_is_no_request_is_said_to_be_none(text: str) -> None:
    """With how it is written."""
    with pytest.raises(UserError, match="write r42"):
        parse_request_number(text)
    assert not is_request_number(text)


def test_a_hostile_name_is_made_safe() -> None:
    """It is repeated in the error."""
    with pytest.raises(UserError) as raised:
        parse_request_number("\x1b[2J" * 50)
    assert str(raised.value).isprintable()


def test_the_end_of_a_jobs_id_is_no_request() -> None:
    """Ten digits can be the last characters of a job's id."""
    assert not is_request_number("0123456789")


@given(st.text())
def test_names_never_break(text: str) -> None:
    """A number or a UserError."""
    if is_request_number(text):
        assert parse_request_number(text) >= 0


@each_of(("text", "seconds"), [("90", 90), ("1m30s", 90), ("1d", 86_400), ("1.5h", 5_400)])
def test_seconds_may_be_written_as_a_duration(text: str, seconds: int) -> None:
    """A bare number as ever, or a duration of whole seconds."""
    assert SecondsRange(1, 86_400).convert(text, None, None) == seconds


@each_of("text", ["0", "2d", "86401", "-1", "soon", "250ms", ""])
def test_seconds_out_of_bounds_are_refused(text: str) -> None:
    """As click says it."""
    with pytest.raises(click.BadParameter, match=r"not in the range 1<=x<=86400|not a valid integer"):
        SecondsRange(1, 86_400).convert(text, None, None)


def test_bytes_in_json() -> None:
    """Text where they are UTF-8, base64 where not; the document is ASCII."""
    told = to_json({"a": "网".encode(), "b": b"\xff\x00"})
    assert told.isascii()
    assert json.loads(told) == {"a": "网", "b": {"base64": "/wA="}}


def test_what_is_not_json_is_an_error() -> None:
    """Never a guess."""
    with pytest.raises(TypeError, match="set is not JSON"):
        to_json({"a": {1}})


@pytest.mark.parametrize("begun", [False, True])
async def test_a_login_that_ends_under_a_command(begun: bool, tmp_path: Path) -> None:
    """Its call is made again, once and with what the profile has by then; not where one of its calls was answered."""
    async with FakeHub(tmp_path / "hub").serving() as hub:
        create_profile(hub, tmp_path / "alice")
        calls = 0

        async def act(client: Client) -> int:
            nonlocal calls
            calls += 1
            await client.call(verbs.WHOAMI, NoArgs())
            return (await client.call(verbs.WHOAMI, NoArgs())).person == "alice"

        async def play() -> None:
            first = await hub.next_link()
            if begun:
                await first.send(Answer((await first.expect(Call)).id, ME))
            await first.expect(Call)
            await first.send(Refuse(LOGIN_ENDED, "revoked"))
            await first.connection.close()
            second = await hub.next_link()
            for _ in range(2):
                await second.send(Answer((await second.expect(Call)).id, ME))

        async with asyncio.TaskGroup() as tasks:
            playing = tasks.create_task(play())
            command = CliContext(tmp_path / "alice")._call_again(act)
            if begun:
                with pytest.raises(LinkLost, match="try again, to be told why"):
                    await command
            else:
                assert await command == 1
            playing.cancel()
        assert calls == (1 if begun else 2)
