"""A real Matrix homeserver, Synapse with SQLite, in an environment of its own; and people who write to it over HTTP."""

from __future__ import annotations

import asyncio
import base64
import fcntl
import hashlib
import hmac
import os
import secrets
import signal
import subprocess
import sys
import venv
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp
import pytest

from tests.end_to_end.system import free_port

REQUIREMENTS = Path(__file__).with_name("synapse-requirements.txt")
SERVER_NAME = "chat.test"
UNREACHABLE = (
    "NewConnectionError",
    "ConnectionError",
    "ConnectTimeout",
    "ReadTimeout",
    "ProxyError",
    "Temporary failure in name resolution",
    "Max retries exceeded",
)
CONFIG = """
server_name: {name}
listeners:
  - {{port: {port}, tls: false, type: http, bind_addresses: ["127.0.0.1"], resources: [{{names: [client]}}]}}
database: {{name: sqlite3, args: {{database: {folder}/homeserver.db}}}}
log_config: {folder}/log.yaml
media_store_path: {folder}/media
signing_key_path: {folder}/signing.key
pid_file: {folder}/synapse.pid
registration_shared_secret: {secret}
macaroon_secret_key: {secret}
form_secret: {secret}
report_stats: false
trusted_key_servers: []
suppress_key_server_warning: true
bcrypt_rounds: 4
presence: {{enabled: false}}
rc_message: {{per_second: 1000, burst_count: 1000}}
rc_invites: {{per_room: {{per_second: 1000, burst_count: 1000}}, per_user: {{per_second: 1000, burst_count: 1000}}}}
rc_joins: {{local: {{per_second: 1000, burst_count: 1000}}}}
"""
LOG = """
version: 1
formatters: {{precise: {{format: "%(asctime)s %(levelname)s %(name)s %(message)s"}}}}
handlers: {{file: {{class: logging.FileHandler, formatter: precise, filename: {folder}/synapse.log}}}}
root: {{level: WARNING, handlers: [file]}}
disable_existing_loggers: false
"""


def environment() -> Path:
    """The folder of an environment with Synapse in it; made once, about two minutes, and kept in the user's cache.

    Skips the test where the package index cannot be reached; any other failure is one of the test.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "answerback"
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    digest = hashlib.sha256(REQUIREMENTS.read_bytes() + version.encode()).hexdigest()[:12]
    folder = cache / f"synapse-{digest}"
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / f"synapse-{digest}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "ready").exists():
            venv.create(folder, with_pip=True, clear=True)
            pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
            done = subprocess.run(
                [*pip, "--retries", "1", "--timeout", "20", "-r", str(REQUIREMENTS)],
                capture_output=True,
                text=True,
                check=False,
            )
            if done.returncode and any(sign in done.stderr for sign in UNREACHABLE):
                pytest.skip("Synapse is not installed yet, and the package index cannot be reached from here")
            assert done.returncode == 0, done.stderr[-2_000:]
            (folder / "ready").touch()
    return folder


@dataclass
class Synapse:
    """A homeserver under a folder. `start` and `stop` may come again; what was said stays."""

    folder: Path
    python: Path
    port: int = field(default_factory=free_port)
    secret: str = field(default_factory=lambda: secrets.token_hex(16))
    process: asyncio.subprocess.Process | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def prepare(self) -> None:
        self.folder.mkdir()
        values = {"name": SERVER_NAME, "port": self.port, "folder": self.folder, "secret": self.secret}
        (self.folder / "homeserver.yaml").write_text(CONFIG.format(**values))
        (self.folder / "log.yaml").write_text(LOG.format(**values))
        # What `--generate-keys` would write, without the seconds that another start takes.
        seed = base64.b64encode(secrets.token_bytes(32)).decode().rstrip("=")
        (self.folder / "signing.key").write_text(f"ed25519 a_test {seed}\n")

    async def _run(self, *more: str) -> asyncio.subprocess.Process:
        with (self.folder / "out.log").open("ab") as sink:
            return await asyncio.create_subprocess_exec(
                str(self.python), "-m", "synapse.app.homeserver", "-c", "homeserver.yaml", *more,
                cwd=self.folder, stdin=asyncio.subprocess.DEVNULL, stdout=sink, stderr=sink,
            )  # fmt: skip

    async def start(self, session: aiohttp.ClientSession) -> None:
        self.process = await self._run()
        async with asyncio.timeout(90):
            while True:
                try:
                    async with session.get(f"{self.url}/_matrix/client/versions") as answer:
                        if answer.status == 200:
                            return
                except aiohttp.ClientError:
                    pass
                assert self.process.returncode is None, (self.folder / "out.log").read_text()[-2_000:]
                await asyncio.sleep(0.1)

    async def stop(self, number: int = signal.SIGTERM) -> None:
        if self.process is not None and self.process.returncode is None:
            self.process.send_signal(number)
            await self.process.wait()

    async def register(self, session: aiohttp.ClientSession, name: str) -> Person:
        """As register_new_matrix_user does it: by the shared secret."""
        place = f"{self.url}/_synapse/admin/v1/register"
        async with session.get(place) as answer:
            nonce = (await answer.json())["nonce"]
        password = secrets.token_hex(8)
        text = "\0".join((nonce, name, password, "notadmin")).encode()
        body = {"nonce": nonce, "username": name, "password": password, "admin": False}
        body["mac"] = hmac.new(self.secret.encode(), text, hashlib.sha1).hexdigest()
        async with session.post(place, json=body) as answer:
            assert answer.status == 200, await answer.text()
            found = await answer.json()
        return Person(session, self.url, found["user_id"], found["access_token"])


@dataclass
class Person:
    """Somebody with a client. `events` has what was said in rooms, in order, since the first `sync`."""

    session: aiohttp.ClientSession
    url: str
    user: str
    token: str
    since: str = ""
    count: int = 0
    events: list[dict[str, Any]] = field(default_factory=list)

    async def call(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {self.token}"}
        async with self.session.request(
            method, f"{self.url}/_matrix/client/v3/{path}", json=body, headers=headers
        ) as answer:
            found: dict[str, Any] = await answer.json()
            assert answer.status == 200, found
            return found

    async def make_room(self, *invited: str, **more: Any) -> str:
        body = {"preset": "private_chat", "invite": list(invited), **more}
        return str((await self.call("POST", "createRoom", body))["room_id"])

    async def join(self, room: str) -> None:
        await self.call("POST", f"rooms/{quote(room)}/join", {})

    async def send(self, room: str, content: dict[str, Any], kind: str = "m.room.message") -> str:
        self.count += 1
        answer = await self.call("PUT", f"rooms/{quote(room)}/send/{kind}/t{self.count}", content)
        return str(answer["event_id"])

    async def say(self, room: str, text: str, thread: str = "") -> str:
        content: dict[str, Any] = {"msgtype": "m.text", "body": text, "m.mentions": {}}
        if thread:
            content["m.relates_to"] = {"rel_type": "m.thread", "event_id": thread}
        return await self.send(room, content)

    async def show(self, room: str, picture: bytes) -> str:
        """Uploads a PNG and posts it."""
        place = f"{self.url}/_matrix/media/v3/upload?filename=shot.png"
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "image/png"}
        async with self.session.post(place, data=picture, headers=headers) as answer:
            assert answer.status == 200, await answer.text()
            address = (await answer.json())["content_uri"]
        return await self.send(room, {"msgtype": "m.image", "body": "shot.png", "url": address})

    async def fetch(self, address: str) -> bytes:
        """What was put at an mxc:// address."""
        place = f"{self.url}/_matrix/client/v1/media/download/{address.removeprefix('mxc://')}"
        async with self.session.get(place, headers={"Authorization": f"Bearer {self.token}"}) as answer:
            assert answer.status == 200, await answer.text()
            return await answer.read()

    async def delete(self, room: str, event: str) -> None:
        self.count += 1
        await self.call("PUT", f"rooms/{quote(room)}/redact/{quote(event)}/t{self.count}", {})

    async def edit(self, room: str, event: str, text: str) -> None:
        new = {"msgtype": "m.text", "body": text}
        relation = {"rel_type": "m.replace", "event_id": event}
        await self.send(
            room, {"msgtype": "m.text", "body": f"* {text}", "m.new_content": new, "m.relates_to": relation}
        )

    async def react(self, room: str, event: str, emoji: str) -> None:
        relation = {"rel_type": "m.annotation", "event_id": event, "key": emoji}
        await self.send(room, {"m.relates_to": relation}, "m.reaction")

    async def sync(self, hold: float = 2.0) -> None:
        since = f"&since={self.since}" if self.since else ""
        answer = await self.call("GET", f"sync?timeout={int(hold * 1000)}{since}")
        self.since = answer["next_batch"]
        for room, update in answer.get("rooms", {}).get("join", {}).items():
            self.events += [{**event, "room_id": room} for event in update["timeline"]["events"]]

    async def until(self, found: Callable[[], Any], within: float = 60.0) -> Any:
        """The first true value of `found`, looked at after each sync."""
        async with asyncio.timeout(within):
            while not (value := found()):
                await self.sync()
            return value

    def posts(self, room: str, sender: str) -> dict[str, dict[str, Any]]:
        """Each message of somebody in a room in its newest state, by the id of its first."""
        newest: dict[str, dict[str, Any]] = {}
        for event in self.events:
            content = event.get("content", {})
            if (
                event["type"] != "m.room.message"
                or event["sender"] != sender
                or event["room_id"] != room
                or not content
            ):
                continue
            relation = content.get("m.relates_to", {})
            if relation.get("rel_type") == "m.replace":
                newest[relation["event_id"]] = content["m.new_content"]
            else:
                newest[event["event_id"]] = content
        return newest


@asynccontextmanager
async def synapse(folder: Path) -> AsyncIterator[tuple[Synapse, aiohttp.ClientSession]]:
    """A homeserver that serves."""
    server = Synapse(folder, await asyncio.to_thread(environment) / "bin" / "python")
    await server.prepare()
    async with aiohttp.ClientSession() as session:
        try:
            await server.start(session)
            yield server, session
        finally:
            await server.stop()
