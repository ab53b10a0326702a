"""answerback chat: a small chat in the terminal, by the way of a real one.

It speaks to the `generic` inlet with that inlet's secret and takes the signed replies on a port of this machine, so
that everything that a chat shows can be tried before a platform is connected: runbooks, approvals by a second person
(`/as`), pictures. Following a request through the operators' API would need no port, but would show the API's view of
it and not what a chat is told, and one certificate cannot speak as two people.

A line is edited by the terminal itself (erase, Ctrl-U, Ctrl-W); there is no history. The standard library's `readline`
reads in a call that blocks: in a thread Ctrl-C and the end of the chat do not reach it, and a reply that comes while
one types breaks the line, since the parts that would draw it again are not offered to Python. Textual's input belongs
to a screen of its own, which would take the scrollback away.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import click

from common.errors import EXIT_OK, UserError, WorkFailed
from common.read_file import read_bytes
from common.text import clean
from tui.cli.context import CliContext, pass_context
from tui.client.inlet import InletAccess, Posted, ReplyPort, message_body, post, read_access
from tui.client.profile import default_path, file_in
from tui.text.chat_lines import (
    MAX_LINE,
    Picture,
    Quit,
    Say,
    Show,
    SpeakAs,
    exit_status,
    is_settled,
    read_line,
    reply_choices,
    reply_lines,
)

CONFIG_VARIABLE: Final = "ANSWERBACK_CONFIG"
DEFAULT_CONFIG: Final = Path("/etc/answerback/hub.toml")
MAX_PICTURE: Final = 2 * 1024 * 1024
_CHUNK: Final = 65_536


@click.command("chat", short_help="A small chat in the terminal, to try everything with.")
@click.option("--as", "person", metavar="NAME", default="", help="who speaks: a person of hub.toml  [default: you]")
@click.option("--inlet", metavar="NAME", default="", help="an inlet of platform generic  [default: the only one]")
@click.option(
    "--config",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help=f"hub.toml  [default: ${CONFIG_VARIABLE}, else beside the profile, else {DEFAULT_CONFIG}]",
)
@click.option("--conversation", default="terminal", show_default=True, help="the name of the room")
@click.option("--json", "as_json", is_flag=True, help="each reply as one JSON line")
@pass_context
def chat_command(
    context: CliContext, person: str, inlet: str, config: Path | None, conversation: str, as_json: bool
) -> None:
    """Chat with the hub on its own machine, as a person of hub.toml. Replies and their choices come as they would in
    a chat; a number takes a choice. Who may read the inlet's secret may speak as anyone: this is for the hub's admin.

    \b
    sudo answerback chat --as alice
    echo 'uptime on web-1' | answerback chat               waits for the answer; exit status 0 done, 1 not, 3 refused
    answerback chat --as bob --json < questions.txt
    In the chat: /as bob   /picture FILE   /help   /quit
    """
    profile = (context.profile or default_path()).absolute()
    access = read_access(find_config(config, profile), inlet)
    chat = Chat(access, access.people.get(person, person) if person else default_user(access, profile), conversation)
    chat.as_json = as_json
    sys.exit(asyncio.run(chat.run(terminal=sys.stdin.isatty())))


def find_config(given: Path | None, profile: Path) -> Path:
    """Which hub.toml is meant."""
    if given is not None:
        return given.absolute()
    if named := os.environ.get(CONFIG_VARIABLE):
        return Path(named).absolute()
    beside = profile.parent / "hub.toml"
    return beside if os.path.exists(beside) else DEFAULT_CONFIG


def default_user(access: InletAccess, profile: Path) -> str:
    """The profile's person, if the inlet knows them; else the only person that it knows."""
    if os.path.exists(file_in(profile)):
        from tui.client.profile import read_profile

        name = read_profile(profile).name
        if name in access.people:
            return access.people[name]
    if len(access.people) == 1:
        return next(iter(access.people.values()))
    known = ", ".join(sorted(access.people)) or 'none; give people chat = ["INLET:USER"] in hub.toml'
    raise UserError("who speaks?", f"name one with --as: {known}")


class Chat:
    """One sitting: lines go out in order, replies are shown as they come."""

    def __init__(self, access: InletAccess, user: str, conversation: str) -> None:
        self.access = access
        self.user = user
        self.conversation = conversation
        self.as_json = False
        self.status = EXIT_OK
        self._terminal = False
        self._reply_url = ""
        self._choices: tuple[str, ...] = ()
        self._waiting: dict[str, asyncio.Event] = {}  # messages that are not settled yet

    async def run(self, *, terminal: bool) -> int:
        """Until the input ends or /quit; the exit status is that of the worst answer."""
        self._terminal = terminal
        port = ReplyPort(self.access)
        self._reply_url = await port.open()
        try:
            if terminal:
                self._print([f"you are {clean(self.user)} at {self.access.url}; /help tells more, Ctrl-D ends"])
            self._prompt()
            async with asyncio.TaskGroup() as tasks:
                showing = tasks.create_task(self._show_replies(port))
                await self._send_lines()
                showing.cancel()
        finally:
            port.close()
        return EXIT_OK if terminal else self.status

    async def _send_lines(self) -> None:
        async for line in input_lines():
            if not await self._handle(line):
                break
            self._prompt()

    async def _show_replies(self, port: ReplyPort) -> None:
        """Shown here and not where they arrive, so that a closed output ends the chat and not a connection."""
        while True:
            self.show_reply(await port.replies.get())

    async def _handle(self, line: str) -> bool:
        """One line; False where the chat is to end."""
        typed = read_line(line, self._choices)
        match typed:
            case Quit():
                return False
            case Show(told):
                self._print(told)
            case SpeakAs(name):
                self.user = self.access.people.get(name, name)
                known = name in self.access.people or name in self.access.people.values()
                self._print([f"you are {clean(name)}" + ("" if known else ", whom hub.toml does not know")])
            case Say(text):
                await self._send(text)
            case Picture(path, words):
                await self._send_picture(path, words)
        return True

    async def _send_picture(self, path: str, words: str) -> None:
        try:
            data = await asyncio.to_thread(read_picture, path)
        except UserError as error:
            self._fail(str(error))
            return
        await self._send(words, (data,))

    async def _send(self, text: str, images: tuple[bytes, ...] = ()) -> None:
        event, body = message_body(self.user, self.conversation, text, self._reply_url, images)
        self._choices = ()
        settled = self._waiting[event] = asyncio.Event()
        try:
            posted = await post(self.access, body)
        except WorkFailed as error:
            posted = Posted(False, str(error))
            if not self._terminal:
                raise
        if not posted.ok:
            del self._waiting[event]
            self._fail(posted.text)
        elif not self._terminal:
            await settled.wait()

    def _fail(self, problem: str) -> None:
        """A line that came to nothing; at a terminal one goes on."""
        if not self._terminal:
            raise UserError(problem)
        self._print([f"not sent: {problem}"])

    def show_reply(self, reply: dict[str, Any]) -> None:
        """Shows a reply; a message that was waited for is settled by it."""
        self._choices = reply_choices(reply) or self._choices
        if self.as_json:
            self._print([json.dumps(reply)])
        else:
            self._print(reply_lines(reply, reply_choices(reply)), who="answerback")
        self._prompt()
        event = str(reply.get("in_reply_to", ""))
        if event in self._waiting and is_settled(reply):
            self.status = max(self.status, exit_status(reply))
            self._waiting.pop(event).set()

    def _print(self, lines: list[str] | tuple[str, ...], who: str = "") -> None:
        begin = "\r\x1b[K" if self._terminal and sys.stdout.isatty() else ""
        for at, line in enumerate(lines):
            mark = (f"{who}: " if at == 0 else "  ") if who and self._terminal else ""
            click.echo(f"{begin if at == 0 else ''}{mark}{line}")

    def _prompt(self) -> None:
        if self._terminal:
            click.echo(f"{clean(self.user, limit=40)}> ", nl=False)


def read_picture(path: str) -> bytes:
    """The file's bytes; raises UserError."""
    return read_bytes(Path(os.path.expanduser(path)), MAX_PICTURE, "name a picture's file")


async def input_lines() -> AsyncIterator[str]:
    """The lines of standard input without blocking the event loop: a terminal, a pipe or a file."""
    buffered = b""
    while data := await _read(sys.stdin.fileno()):
        *whole, buffered = (buffered + data).split(b"\n")
        if len(buffered) > 4 * MAX_LINE:
            raise UserError(f"a line of more than {MAX_LINE} characters", "send less at a time")
        for line in whole:
            yield line.decode("utf-8", "replace")
    if buffered.strip():
        yield buffered.decode("utf-8", "replace")


async def _read(descriptor: int) -> bytes:
    """What is there to read, when there is something."""
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    try:
        loop.add_reader(descriptor, ready.set)
    except PermissionError:
        return os.read(descriptor, _CHUNK)  # a file: reading it never waits, and epoll does not take it
    try:
        await ready.wait()
    finally:
        loop.remove_reader(descriptor)
    return os.read(descriptor, _CHUNK)
