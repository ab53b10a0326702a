"""Runs in the peers' environment, with PORT USER KEY COMMAND: runs on one open asyncssh connection. Each line on its
input is how many, answered by a line of JSON with the seconds of each."""

import asyncio
import json
import sys
import time

import asyncssh


async def main(port: str, user: str, key: str, command: str) -> None:
    async with asyncssh.connect(
        "127.0.0.1", int(port), username=user, client_keys=[key], known_hosts=None, config=None
    ) as connection:
        while line := await asyncio.to_thread(sys.stdin.readline):
            seconds = []
            for _ in range(int(line)):
                began = time.perf_counter()
                ended = await connection.run(command, check=True)
                assert ended.stdout
                seconds.append(time.perf_counter() - began)
            print(json.dumps(seconds), flush=True)


asyncio.run(main(*sys.argv[1:]))
