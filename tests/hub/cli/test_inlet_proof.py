"""hub.cli.inlet_proof: what a hub says of a delivery, as a finding; against a hub that serves in test_inlets."""

from __future__ import annotations

import json
from typing import Any

from hub.chat.platforms.base import HttpResponse
from hub.cli.inlet_proof import _judged


def judged(status: int, body: Any) -> tuple[str, str, str]:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    finding = _judged("ops", HttpResponse(status, {}, raw))
    return finding.state, finding.found, finding.cure


def test_what_the_hub_answered_is_told_with_its_cure() -> None:
    """Taken, not there yet, refused; and a page of somebody else's server does not draw on the terminal."""
    assert judged(200, {"ok": True, "number": 7})[:2] == (
        "ok",
        "the running hub took a signed delivery as r7, of somebody whom nobody knows",
    )
    state, found, cure = judged(404, {"error": "unknown_inlet", "message": "there is no such inlet"})
    assert (state, found) == ("bad", "the running hub has no inlet ops yet")
    assert "reload" in cure
    assert judged(401, {"error": "bad_signature", "message": "X-Signature does not fit"})[0] == "bad"
    state, found, _ = judged(502, b"<html>\x1b[2J")
    assert (state, found) == ("bad", "the running hub refused it: status 502")
    assert "\x1b" not in judged(400, {"message": "a\x1b[2Jb"})[1]
