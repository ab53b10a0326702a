"""`inlet …` as a person uses it: at a terminal, from a script, and where something is wrong."""

from __future__ import annotations

import asyncio
import json
import stat
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

import hub.cli.main
from common.doctor.findings import Finding
from hub.chat.inlets import build_inlets, load_config
from hub.cli.inlet_proof import prove
from tests.end_to_end.pty_terminal import PtyTerminal
from tests.run_main import CommandResult, run_main

PLATFORM = '''
from dataclasses import dataclass
from pathlib import Path
import json
from common.config import required, setting
from hub.chat.platforms.base import POST_ONLY, BadSignature, DeliveryFailed, HttpCall, NextCall, PlatformKind
from hub.core.inlet_table import InletTable

@dataclass(frozen=True, slots=True, kw_only=True)
class Table(InletTable):
    """A chat."""
    app: int = required("The number of the app.", low=1, high=99)
    token_file: Path | None = setting(None, "The token of the bot.")
    api_url: str = setting("https://chat.example", "Where its API is.")

class Chat:
    kind = "chat"
    methods = POST_ONLY
    can_update = can_buttons = True
    pace = 0.0
    def __init__(self, table):
        self.api, self.table, self.hosts = table.api_url, table, (table.api_url,)
    def receive(self, request, now):
        raise BadSignature("never")
    def render(self, reply, now): ...
    def handle_response(self, reply, call, response, now): ...
    def who_am_i(self, now):
        return HttpCall(f"{self.api}/me", b"{}", {"Authorization": self.table.other_secrets["token_file"][0].decode()})
    def read_identity(self, call, response, now):
        told = json.loads(response.body)
        if told.get("next"):
            return NextCall(HttpCall(f"{self.api}{told['next']}", b""))
        return told["name"] if told["ok"] else DeliveryFailed("the token is not known there")

PLATFORM = PlatformKind("chat", "A chat", Table, Chat, (("Paste {url} there.", "请填入 {url}。"),))
'''


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("inlets") / "hub"
    ended = run_main(hub.cli.main.main, "init", str(folder), "--admin", "alice", "--http", "127.0.0.1:18099")
    assert ended.code == 0, ended.err
    (folder / "chat.py").write_text(PLATFORM)
    (folder / "chat.py").chmod(0o600)
    (folder / "token").write_text("xoxb-canary\n")
    return folder


def inlet(folder: Path, *words: str, stdin: bytes = b"") -> CommandResult:
    ended = run_main(hub.cli.main.main, "inlet", *words, "--config", str(folder / "hub.toml"), stdin=stdin)
    assert "Traceback" not in ended.err
    return ended


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_what_platforms_there_are() -> None:
    """For people and for scripts: what each can, and the keys that are asked for."""
    listed = run_main(hub.cli.main.main, "inlet", "platforms")
    assert listed.text.splitlines()[0].split() == ["PLATFORM", "CARD", "BUTTONS", "OUTBOUND", "FILES", "TITLE"]
    found = {one["name"]: one for one in run_main(hub.cli.main.main, "inlet", "platforms", "--json").json}
    assert (found["generic"]["card"], found["generic"]["buttons"], found["generic"]["outbound"]) == (False,) * 3
    assert [key["key"] for key in found["generic"]["keys"]] == ["secret_file"]
    assert f"\n{found['standard']['name']} " in listed.text


def test_an_inlet_comes_and_goes(made: Path) -> None:
    """From a script: the table, its secrets 0600, what to do next; and taken out again hub.toml is what it was."""
    before = files_of(made)
    words = ("--set", "app=7", "--set", "reply_hosts=a.example, b.example:8443", "--set", "updates=false")
    secrets = ("--secret-file", "secret_file=-", "--secret-file", f"token_file={made / 'token'}")
    added = inlet(made, "add", "chat.py", "team", *words, *secrets, stdin=b"  a shared secret \n\n")
    assert added.code == 0, added.err
    assert "1. Paste https://PROXY/webhook/team there." in added.text
    assert "systemctl reload answerback-hub" in added.text
    assert "canary" not in added.text + added.err + (made / "hub.toml").read_text()
    table = load_config(made / "hub.toml").inlets["team"]
    assert (table.secrets, table.other_secrets["token_file"]) == ((b"a shared secret",), (b"xoxb-canary",))
    assert (table.reply_hosts, table.updates) == (("a.example", "b.example:8443"), False)
    for name in ("team", "team.token"):
        assert stat.S_IMODE((made / "secrets" / name).stat().st_mode) == 0o600
    listed = inlet(made, "list", "--json").json
    assert [(one["name"], one["last_delivery"]) for one in listed] == [("ops", None), ("team", None)]
    told = inlet(made, "list").text.splitlines()
    assert told[2].split() == ["team", "chat.py", "everything", "-", "https://PROXY/webhook/team"]
    removed = inlet(made, "remove", "team")
    assert "[inlets.team]" in removed.text
    assert f"{made / 'secrets' / 'team.token'} any more" in removed.text
    for name in ("team", "team.token"):
        (made / "secrets" / name).unlink()
    assert {key: value for key, value in files_of(made).items() if "data" not in key} == {
        key: value for key, value in before.items() if "data" not in key
    }


def test_a_secret_of_ours_is_made(made: Path) -> None:
    """Where the sender takes it from us; `public_url` says where chats post to."""
    text = (made / "hub.toml").read_text()
    (made / "hub.toml").write_text(text.replace("[http]\n", '[http]\npublic_url = "https://hub.example.org/"\n', 1))
    try:
        told = inlet(made, "add", "standard", "sender", "--json").json
        assert told["url"] == "https://hub.example.org/webhook/sender"
        assert told["url"] in told["setup"][0]
        assert Path(told["secret_files"][0]).read_text().startswith("whsec_")
        assert build_inlets(load_config(made / "hub.toml"))["sender"].platform.kind == "standard"
        inlet(made, "remove", "sender")
        Path(told["secret_files"][0]).unlink()
    finally:
        (made / "hub.toml").write_text(text)


def test_what_is_wrong_is_said_and_nothing_is_written(made: Path, tmp_path: Path) -> None:
    """The name, the platform, a key, a value, a secret that is missing, short, empty, or would stand in the process
    list; a file that is in the way; hub.toml itself.
    """
    (tmp_path / "empty").write_text("\n\n")
    (tmp_path / "short").write_text("short")
    before = files_of(made)
    token = ("--secret-file", f"secret_file={made / 'token'}")
    for words, problem in (
        (("generic", "ops"), "there is an inlet ops already"),
        (("generic", "../x"), "is not a name"),
        (("telepathy", "team"), '"telepathy" is not known here'),
        (("generic", "team", "--set", "rat=1"), "did you mean rate?"),
        (("generic", "team", "--set", "rate=many"), "a whole number was expected"),
        (("generic", "team", "--set", "rate=0"), "1 to 100000"),
        (("generic", "team", "--set", "answer=nothing"), "one of "),
        (("generic", "team", "--set", "platform=standard"), "platform is no key"),
        (("generic", "team", "--set", "bot=@ops bot"), "bot is no name"),
        (("generic", "team", "--set", "reply_hosts=*.example"), "*.example"),
        (("generic", "team", "--set", "bot"), "is not KEY=VALUE"),
        (("generic", "team", "--set", "bot=x\ny"), "a string that is not empty"),
        (("generic", "team", "--set", "secret_file=hunter2hunter2"), "--secret-file secret_file=PATH"),
        (("generic", "team", "--secret-file", f"token_file={made / 'token'}"), "is no secret of Generic"),
        (("generic", "team", "--secret-file", f"secret_file={tmp_path / 'short'}"), "shorter than 8 bytes"),
        (("generic", "team", "--secret-file", f"secret_file={tmp_path / 'empty'}"), "nothing stands there"),
        (("generic", "team", "--secret-file", f"secret_file={tmp_path / 'gone'}"), "there is no such file"),
        (("standard", "team", *token), "not base64"),
        (("chat.py", "team"), "A chat needs secret_file, app: add --secret-file secret_file=PATH --set app=VALUE"),
        (("chat.py", "team", *token, "--set", "app=100"), "1 to 99"),
        (("generic", "seal.key"), "exists already"),
    ):
        ended = inlet(made, "add", *words)
        assert (ended.code, ended.out) == (2, b""), words
        assert problem in ended.err, ended.err
        assert "hunter2" not in ended.err
    for words, problem in (
        (("remove", "team"), "there is no [inlets.team]: there are: ops"),
        (("remove", "ops"), '"ops:alice" of alice: take that out of `chat`'),
        (("test", "team"), "there is no inlet team"),
    ):
        ended = inlet(made, *words)
        assert ended.code == 2
        assert problem in ended.err
    assert files_of(made) == before


async def shows(terminal: PtyTerminal, *texts: str) -> None:
    await terminal.wait_until(lambda: all(text in terminal.text for text in texts), f"{texts} on the screen", 40)


async def test_at_a_terminal_a_wrong_answer_is_asked_for_again(made: Path) -> None:
    """What was right stays; secrets are not shown; Ctrl-C leaves nothing behind."""
    before = files_of(made)
    command = [sys.executable, "-m", "hub", "inlet", "add", "chat.py", "team", "--config", str(made / "hub.toml")]
    env = {"LC_ALL": "C.UTF-8"}
    async with PtyTerminal(command, 120, 60, env=env) as terminal:
        await shows(terminal, "Paste https://PROXY/webhook/team there.", "secret (it is not shown)")
        await terminal.type("a shared secret\r")
        await shows(terminal, "The number of the app.")
        await terminal.type("700\r")
        await shows(terminal, "The token of the bot.", "empty: none")
        await terminal.type("xoxb-canary\r")
        await shows(terminal, "not yet:", "1 to 99", "secret (empty: as before; it is not shown)")
        assert files_of(made) == before
        await terminal.type("\r")
        await shows(terminal, "app [700]")
        await terminal.type("70\r")
        await shows(terminal, "token (empty: as before; it is not shown)")
        await terminal.type("\x03")
        assert terminal.process is not None
        assert await terminal.process.wait() == 130
    assert files_of(made) == before
    async with PtyTerminal(command, 120, 60, env=env) as terminal:
        for question, answer in (("secret (it", "a shared secret"), ("app:", "70"), ("token (", "xoxb-canary")):
            await shows(terminal, question)
            await terminal.type(f"{answer}\r")
        await shows(terminal, "added [inlets.team]", "inlet test team")
        assert b"canary" not in terminal.raw
        assert b"shared" not in terminal.raw
    table: Any = load_config(made / "hub.toml").inlets["team"]
    assert (table.app, table.secrets, table.other_secrets["token_file"]) == (
        70,
        (b"a shared secret",),
        (b"xoxb-canary",),
    )
    assert inlet(made, "remove", "team").code == 0
    for name in ("team", "team.token"):
        (made / "secrets" / name).unlink()


async def test_the_chat_is_asked_who_we_are(tmp_path: Path) -> None:
    """Its answer, its refusal, its silence, an address that is not the platform's; never with the token."""
    folder = tmp_path / "hub"
    answers = {"/me": {"next": "/really"}, "/really": {"ok": True, "name": "answerback in Acme"}}
    app = web.Application()

    async def answer(request: web.Request) -> web.Response:
        return web.json_response(answers[request.path])

    app.router.add_post("/{any}", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    port = runner.addresses[0][1]
    await asyncio.to_thread(_with_chat, folder, port)
    config = load_config(folder / "hub.toml")

    async def account() -> Finding:
        found = {finding.check: finding for finding in await prove(config, "team", time.time())}
        assert "canary" not in json.dumps([finding.found + finding.cure for finding in found.values()])
        return found["account"]

    try:
        told = await account()
        assert (told.state, told.found) == ("ok", f"127.0.0.1:{port} knows us as answerback in Acme")
        answers["/really"] = {"ok": False}
        told = await account()
        assert (told.state, told.found) == ("bad", f"127.0.0.1:{port}: the token is not known there")
        answers["/really"] = {"next": "/really"}
        assert "after 5 calls" in (await account()).found
        answers["/me"] = {"next": "x.evil.example/"}
        assert (await account()).state == "bad"
    finally:
        await runner.cleanup()
    assert "cannot connect" in (await account()).found


def _with_chat(folder: Path, port: int) -> None:
    assert run_main(hub.cli.main.main, "init", str(folder)).code == 0
    (folder / "chat.py").write_text(PLATFORM)
    (folder / "chat.py").chmod(0o600)
    (folder / "token").write_text("xoxb-canary")
    token = folder / "token"
    ended = inlet(folder, "add", "chat.py", "team", "--set", "app=1", "--set", f"api_url=http://127.0.0.1:{port}",
                  "--secret-file", f"secret_file={token}", "--secret-file", f"token_file={token}")  # fmt: skip
    assert ended.code == 0, ended.err
