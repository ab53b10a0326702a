"""Logs: one line an event, bound ids, no secrets, no control characters."""

from __future__ import annotations

import io
import json
import logging
from contextlib import redirect_stderr
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.log import HIDDEN, bind_ids, configure, logger, logging_disabled, scrub
from hub.store.errors import StoreLost


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_an_event_is_one_json_line_with_its_ids() -> None:
    """Name, level, time, part and what was passed are there, and bound ids only within their stretch."""
    stream = io.StringIO()
    configure("info", "json", stream)
    log = logger("links")
    with bind_ids(request="01ARZ", job="01BX5"):
        log.info("agent.connected", agent="web-1", text="磁盘")
    log.warning("agent.lost")
    first, second = lines(stream)
    assert first.pop("timestamp").endswith("Z")
    assert first == {
        "event": "agent.connected",
        "level": "info",
        "part": "links",
        "agent": "web-1",
        "text": "磁盘",
        "request": "01ARZ",
        "job": "01BX5",
    }
    assert "request" not in second


def test_the_level_filters() -> None:
    """What is below the level is not written."""
    stream = io.StringIO()
    configure("warning", "json", stream)
    logger("x").info("unseen.event")
    logger("x").error("seen.event")
    assert [line["event"] for line in lines(stream)] == ["seen.event"]


def test_libraries_log_in_the_same_form() -> None:
    """A warning of asyncio or uvicorn is a JSON line too, with its traceback; their chatter is left out."""
    stream = io.StringIO()
    configure("info", "json", stream)
    logging.getLogger("uvicorn.error").info("Started server process")
    try:
        raise RuntimeError("boom")
    except RuntimeError:
        logging.getLogger("uvicorn.error").exception("Exception in ASGI application")
    (line,) = lines(stream)
    assert (line["event"], line["logger"]) == ("Exception in ASGI application", "uvicorn.error")
    assert "RuntimeError: boom" in line["exception"]


SECRETS = {
    "secret": "canary",
    "inlet_secret": "canary",
    "token": b"canary",
    "join-token": "canary",
    "X-Signature": "canary",
    "Authorization": "Bearer canary",
    "password": "canary",
    "totp": "canary",
    "cookie": "canary",
    "code": "123456",
    "totp_code": " 1234567 ",
    "nested": {"headers": [{"authorization": "canary"}], "token": {"value": "canary"}},
}


@pytest.mark.parametrize("fmt", ["json", "console"])
def test_secrets_never_reach_the_stream(fmt: Any) -> None:
    """Values under keys that name secrets are hidden, also deep inside."""
    stream = io.StringIO()
    configure("info", fmt, stream)
    logger("x").info("secret.test", **SECRETS)
    text = stream.getvalue()
    assert "canary" not in text
    assert "123456" not in text
    assert text.count(HIDDEN) == len(SECRETS) + 1


def test_what_is_no_secret_stays_readable() -> None:
    """Exit codes and names of refusals are what logs are read for."""
    event = scrub(
        None, "info", {"exit_code": 137, "code": "revoked", "tokens_left": 3, "signature_count": 2, "n": None}
    )
    assert event == {"exit_code": 137, "code": "revoked", "tokens_left": 3, "signature_count": 2, "n": None}


HOSTILE = "\x1b[31mred\x07\r\nline \u202eabc\u2028 \x9b1m \ud800"


@pytest.mark.parametrize("fmt", ["json", "console"])
def test_hostile_text_reaches_no_terminal(fmt: Any) -> None:
    """Control, bidirectional and line separator characters are shown as escapes, and an event stays one line."""
    stream = io.StringIO()
    configure("info", fmt, stream)
    logger("x").info("hostile.test", agent=HOSTILE, more=[HOSTILE], deep={HOSTILE: HOSTILE})
    text = stream.getvalue()
    assert text.count("\n") == 1
    assert not set(text.rstrip("\n")) & set("\x1b\x07\r\n\u202e\u2028\x9b\ud800")
    assert "\\x1b" in text.replace("\\\\", "\\")


def test_an_exception_is_written_whole_and_safely() -> None:
    """A traceback keeps its lines and loses its control characters."""
    stream = io.StringIO()
    configure("info", "json", stream)
    try:
        raise ValueError("bad \x1b[31m")
    except ValueError:
        logger("x").exception("work.failed")
    (line,) = lines(stream)
    assert line["exception"].startswith("Traceback")
    assert "\n" in line["exception"]
    assert "\x1b" not in line["exception"]


def test_long_values_are_cut() -> None:
    """One value does not fill the disk."""
    event = scrub(None, "info", {"text": "x" * 100_000, "deep": {"a": {"b": {"c": {"d": {"e": "x" * 100_000}}}}}})
    assert len(json.dumps(event)) < 10_000


@given(
    st.dictionaries(st.text(max_size=10), st.recursive(st.text() | st.binary() | st.integers(), st.lists), max_size=4)
)
def test_no_value_breaks_a_line(values: dict[str, Any]) -> None:
    """Whatever is logged, the line is written and is UTF-8."""
    event = scrub(None, "info", dict(values))
    json.dumps(event, ensure_ascii=False).encode()


def test_standard_error_that_went_away_costs_lines_only() -> None:
    """A closed terminal, a full disk: what was to be written is lost, and the program does not notice."""
    gone = Path("/dev/full").open("w", buffering=1)  # noqa: SIM115  closing it fails, as it should
    with redirect_stderr(gone):
        configure("info", "json")
        logger("x").info("is.lost")
        logging.getLogger("library").warning("is lost too")
    with pytest.raises(OSError, match="No space"):
        gone.close()


def test_quiet_is_for_a_while() -> None:
    """Nothing within, everything after, also where the work within fails."""
    stream = io.StringIO()
    configure("debug", "json", stream)
    with pytest.raises(RuntimeError), logging_disabled():
        logger("x").error("unheard")
        raise RuntimeError
    logger("x").debug("heard")
    assert [line["event"] for line in lines(stream)] == ["heard"]


def test_a_failure_that_has_a_cure_is_told_without_its_place() -> None:
    """In its own words; whatever else went wrong has its traceback."""
    stream = io.StringIO()
    configure("info", "json", stream)
    log = logger("store")
    for error in (StoreLost("store x: gone", "see that the server runs"), RuntimeError("a fault")):
        try:
            raise error
        except Exception:
            log.exception("test.failed")
    log.error("test.failed", exc_info=StoreLost("store x: gone"))
    known, fault, given_ = lines(stream)
    assert (known["reason"], "exception" in known) == ("store x: gone: see that the server runs", False)
    assert "Traceback" in fault["exception"]
    assert "reason" not in fault
    assert given_["reason"] == "store x: gone"
