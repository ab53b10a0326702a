"""Sends malformed bodies and frames to a hub, in a process of its own: `python -m tests.faults.flooder` reads one line
of JSON, and writes one line for each second of work and for its end: what was sent, and what was answered.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import json
import sys
import time
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any, Final

from websockets.exceptions import ConnectionClosed

from agent.state import StateFolder
from common.errors import WorkFailed
from common.identity.credential import CredentialFiles
from common.identity.tls import client_context
from common.link.codec import BadFrame, encode
from common.link.dial import HubRefused, OpenLink, open_link
from common.link.handshake import make_hello
from common.link.messages import Heartbeat
from tests.faults.mutations import MACHINE_SAYS, OPERATOR_SAYS, mutated, odd_body, odd_end, odd_message

BATCH: Final = 40
"""Requests or frames that are sent before anything is read."""
MAX_REFUSED: Final = 5.0
READ_WITHIN: Final = 60.0
BEAT: Final = b"\xa4beat"
"""How the frame that answers a heartbeat begins, behind its array's head."""


class Pace:
    """So many a second over all."""

    def __init__(self, rate: float) -> None:
        self._rate, self._next = rate, time.monotonic()

    async def take(self, count: int) -> None:
        now = time.monotonic()
        self._next = max(self._next, now - 1.0) + count / self._rate
        if self._next > now:
            await asyncio.sleep(self._next - now)


class Flood:
    def __init__(self, spec: dict[str, Any]) -> None:
        self.spec = spec
        self.left: dict[str, int] = spec["counts"]  # by who sends: post, agent, console
        self.until = time.monotonic() + float(spec["seconds"])
        self.sent: Counter[str] = Counter()
        self.answers: Counter[str] = Counter()
        self.pace = Pace(float(spec["rate"]))
        self.chance = Random(spec["seed"])

    def take(self, who: str, most: int) -> int:
        """How many of the rest are sent now."""
        if time.monotonic() > self.until:
            self.left[who] = 0
        count = min(most, self.left[who])
        self.left[who] -= count
        return count

    def tell(self) -> None:
        print(json.dumps({"sent": dict(self.sent), "answers": dict(self.answers)}), flush=True)

    # ---- webhooks

    async def post(self) -> None:
        """Requests in pipelines on connections that are kept, until one is broken off."""
        message = {"id": "m", "user": "mallory", "conversation": "ops", "text": "@web-1 df -h", "reply_url": ""}
        message["reply_url"] = self.spec["reply_url"]
        while self.left["post"]:
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", self.spec["http"])
                while count := self.take("post", BATCH):
                    await self.pace.take(count)
                    writer.write(
                        b"".join(self._request({**message, "id": f"x{self.left['post']}-{n}"}) for n in range(count))
                    )
                    for _ in range(count):
                        await self._answer(reader)
                    if self.chance.random() < 0.05 and self.take("post", 1):
                        self.sent["heads"] += 1
                        writer.write(mutated(self.chance, self._request(message)))
                        writer.write_eof()
                        await asyncio.wait_for(reader.read(), 10)
                        break
            except (OSError, asyncio.IncompleteReadError, ValueError, TimeoutError):
                self.answers["closed"] += 1
            finally:
                with contextlib.suppress(UnboundLocalError):
                    writer.close()

    def _request(self, message: dict[str, Any]) -> bytes:
        chance = self.chance
        body = odd_body(chance, message) if chance.random() < 0.5 else mutated(chance, json.dumps(message).encode())
        secret = b"forged" if chance.random() < 0.1 else self.spec["secret"].encode()
        self.sent["forged" if secret == b"forged" else "bodies"] += 1
        signature = hmac.new(secret, body, hashlib.sha256).hexdigest()
        head = f"POST /webhook/{self.spec['inlet']} HTTP/1.1\r\nHost: h\r\nX-Signature: {signature}\r\n"
        return f"{head}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body

    async def _answer(self, reader: asyncio.StreamReader) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        self.answers[head[9:12].decode("ascii", "replace")] += 1
        at = head.lower().find(b"content-length:")
        await reader.readexactly(int(head[at + 15 : head.index(b"\r\n", at)]))

    # ---- links

    async def machine(self, state: Path) -> None:
        folder = StateFolder(state)
        await self._link(folder.credential, state.name.removeprefix("agent-"), "agent")

    async def operator(self, profile: Path, name: str) -> None:
        await self._link(CredentialFiles(profile, ""), name, "console")

    async def _link(self, files: CredentialFiles, name: str, role: Any) -> None:
        context = client_context(files.authority.read_bytes(), files.certificate, files.key, check_time=False)
        wait = 0.0
        while self.left[role] and time.monotonic() < self.until:
            await asyncio.sleep(wait)
            try:
                hello = make_hello(role, name, None, epoch=0, heard="")
                opened = await open_link(self.spec["links"], self.spec["hub"], context, hello, None)
            except HubRefused as refused:
                self.answers[f"link refused: {refused.refusal.code}"] += 1
                wait = min(MAX_REFUSED, refused.refusal.retry_after or MAX_REFUSED)
                continue
            except (WorkFailed, BadFrame):
                self.answers["link not opened"] += 1
                wait = 1.0
                continue
            wait = 0.0
            try:
                async with asyncio.TaskGroup() as tasks:
                    reading = tasks.create_task(self._read(opened))
                    await self._frames(opened, role)
                    await opened.connection.send(encode(Heartbeat()))
                    async with asyncio.timeout(READ_WITHIN):
                        await reading
            except* ConnectionClosed:
                self.answers["link closed"] += 1
            except* TimeoutError:
                self.answers["link not read to its end"] += 1
            finally:
                opened.connection.transport.abort()

    async def _read(self, opened: OpenLink) -> None:
        """Until the answer to a heartbeat: then everything before it has been read over there."""
        while True:
            data = await opened.connection.recv()
            self.answers["frames"] += 1
            if BEAT in data[:8]:
                return

    async def _frames(self, opened: OpenLink, role: str) -> None:
        number, chance = 0, self.chance
        for _ in range(self.spec["broken_each"]):
            count = self.take(role, BATCH)
            await self.pace.take(count)
            for _ in range(count):
                number += 1
                if role == "agent":
                    end = chance.random() < 0.1
                    data = encode(odd_end(chance), seq=number) if end else odd_message(chance, MACHINE_SAYS, number)
                else:
                    data = odd_message(chance, OPERATOR_SAYS, 0)
                await opened.connection.send(data)
            self.sent[f"{role} frames"] += count
            if not self.left[role]:
                return
        if self.take(role, 1):
            self.sent["broken frames"] += 1
            await opened.connection.send(mutated(chance, encode(chance.choice(MACHINE_SAYS), seq=number + 1)))

    async def run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            telling = tasks.create_task(self._tell())
            async with asyncio.TaskGroup() as parts:
                for _ in range(self.spec.get("connections", 0)):
                    parts.create_task(self.post())
                for state in self.spec.get("machines", ()):
                    parts.create_task(self.machine(Path(state)))
                for profile, name in self.spec.get("operators", ()):
                    parts.create_task(self.operator(Path(profile), name))
            telling.cancel()
        self.tell()

    async def _tell(self) -> None:
        while True:
            await asyncio.sleep(1.0)
            self.tell()


def main() -> None:
    asyncio.run(Flood(json.loads(sys.stdin.readline())).run())


if __name__ == "__main__":
    main()
