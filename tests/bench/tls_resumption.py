"""What the resumption of a TLS session would save a hub: processor time of its side of a handshake with certificates of
both ends, whole and resumed, and whether a ticket outlives the hub's restart.

    python tests/bench/tls_resumption.py [--rounds N]

The hub's own contexts (`common.identity.tls`), over memory, so that nothing but TLS is in it; the hub gives no tickets,
which this turns on for itself. Prints one JSON object; docs/faults.md says what follows from it.
"""

from __future__ import annotations

import argparse
import json
import ssl
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from common.identity.certificates import Authority, make_request, new_key
from common.identity.tls import client_context, server_context


def connect(
    server: ssl.SSLContext, client: ssl.SSLContext, session: ssl.SSLSession | None
) -> tuple[ssl.SSLObject, float]:
    """The client's end after one byte from the hub, by when it has its ticket; milliseconds of the hub's side."""
    to_hub, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    hub = server.wrap_bio(to_hub, to_client, server_side=True)
    end = client.wrap_bio(to_client, to_hub, session=session)
    took, done = 0.0, [False, False]
    while not all(done):
        for index, side in enumerate((end, hub)):
            began = time.process_time()
            try:
                if not done[index]:
                    side.do_handshake()
                    done[index] = True
            except ssl.SSLWantReadError:
                pass
            if side is hub:
                took += time.process_time() - began
    hub.write(b"x")
    end.read(1)
    return end, 1000 * took


def files(authority: Authority, kind: str, name: str, folder: Path) -> tuple[Path, Path]:
    key = new_key()
    pem = authority.issue(make_request(key, kind, name), kind=kind, name=name, now=time.time())
    made = folder / f"{kind}.pem", folder / f"{kind}.key"
    made[0].write_bytes(pem)
    made[1].write_bytes(key)
    return made


def measure(rounds: int, folder: Path) -> dict[str, object]:
    authority = Authority.create("hub-3f9a1c", time.time())
    hub, agent = files(authority, "hub", "hub-3f9a1c", folder), files(authority, "agent", "web-1", folder)

    def started_hub() -> ssl.SSLContext:
        context = server_context(*hub, authority.certificate)
        context.num_tickets = 1
        return context

    server, client = started_hub(), client_context(authority.certificate, *agent)
    whole, resumed, reused = [], [], 0
    for _ in range(rounds):
        end, took = connect(server, client, None)
        whole.append(took)
        again, took = connect(server, client, end.session)
        resumed.append(took)
        reused += bool(again.session_reused)
    after, _ = connect(started_hub(), client, end.session)
    return {
        "hub_ms_whole": round(statistics.median(whole), 3),
        "hub_ms_resumed": round(statistics.median(resumed), 3),
        "resumed": f"{reused} of {rounds}",
        "resumed_after_a_restart": bool(after.session_reused),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=500)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tls") as made:
        print(json.dumps(measure(chosen.rounds, Path(made)), indent=1))


if __name__ == "__main__":
    main()
