"""`operator …` as a person uses it."""

from __future__ import annotations

import io
import re
import shutil
import sys
import time
from pathlib import Path

import pytest

import hub.cli.main
from hub.chat.inlets import load_config
from hub.cli import people
from hub.cli.admin import open_store
from hub.core.records import IssuedCertificate
from tests.run_main import CommandResult, run_main


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("people") / "hub"
    ended = run_main(hub.cli.main.main, "init", str(made), "--admin", "alice")
    assert ended.code == 0, ended.err
    with (made / "hub.toml").open("a") as config:
        config.write('\n[people.vera]\nroles = ["viewer"]\nchat = ["ops:vera"]\n')
    return made


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    """A hub's folder for one test alone: tests of one file run in any order, in several workers."""
    return Path(shutil.copytree(made, tmp_path / "hub"))


def operator(folder: Path, *words: str, stdin: bytes = b"") -> CommandResult:
    return run_main(hub.cli.main.main, "operator", *words, "--config", str(folder / "hub.toml"), stdin=stdin)


def people_of(folder: Path, *words: str) -> CommandResult:
    return run_main(hub.cli.main.main, "people", *words, "--config", str(folder / "hub.toml"))


def test_the_list_for_people_and_for_scripts(folder: Path) -> None:
    """One line each under a heading; JSON with everything."""
    told = operator(folder, "list").text.splitlines()
    assert told[0].split() == [
        "NAME",
        "ROLES",
        "SECOND",
        "FACTOR",
        "LOGIN",
        "UNTIL",
        "LAST",
        "SEEN",
        "OLD",
        "LOGIN",
        "CHAT",
        "STANDS",
        "IN",
    ]
    assert told[-1].startswith("vera")
    assert "hub.toml, line " in told[-1]
    vera = operator(folder, "list", "--json").json[-1]
    assert (vera["name"], vera["roles"], vera["chat"], vera["second_factor"]) == (
        "vera",
        ["viewer"],
        ["ops:vera"],
        "none",
    )


def test_a_login_that_ran_out_is_told(folder: Path) -> None:
    """Since when, and until when it is renewed; where it is not any more, what helps."""
    for days, told in (
        (1, "renewable until 20"),
        (20, "not renewable: answerback-hub operator add vera --role viewer"),
    ):
        end = time.time() - days * 86_400
        row = IssuedCertificate(f"{days:064d}", "operator", "vera", 1, end - 86_400, end)
        with open_store(load_config(folder / "hub.toml"), end) as store:
            store.write_now(lambda txn, row=row: txn.revoke_credentials("operator", "vera", row.not_after))
            store.write_now(lambda txn, row=row: txn.add_credential(row))
        line = next(line for line in operator(folder, "list").text.splitlines() if line.startswith("vera"))
        assert re.search("expired since 20.*" + re.escape(told), line), line
        vera = operator(folder, "list", "--json").json[-1]
        assert (vera["login_until"], vera["login_expired"]) == (end, True)
        assert vera["login_renewable_until"] == end + 14 * 86_400
    alice = operator(folder, "list", "--json").json[0]
    assert (alice["name"], alice["login_expired"]) == ("alice", False)


def test_a_login_is_rotated(folder: Path) -> None:
    """The one command on standard output, what becomes of the old one on standard error; the list has both; --now."""
    ended = operator(folder, "rotate", "alice")
    assert ended.text.startswith("answerback login wss://")
    assert ended.text.count("\n") == 1
    assert "holds until the new one is used, and until" in ended.err
    alice = operator(folder, "list", "--json").json[0]
    assert 86_000 < alice["old_login_until"] - time.time() < 87_000
    assert alice["login_until"] == alice["old_login_until"]
    (login,) = alice["logins"]
    assert (login["last_seen"], login["ends_at"]) == (None, alice["old_login_until"])
    told = operator(folder, "rotate", "alice", "--now", "--json").json
    assert (told["ended"], told["old_until"]) == (1, None)
    assert operator(folder, "list", "--json").json[0]["logins"] == []
    for words, told in (
        (("nobody",), "nobody has no login here"),
        (("alice", "--keep", "8d"), "--keep 8d is out of range"),
        (("alice", "--ttl", "8d"), "--ttl 8d is out of range"),
    ):
        ended = operator(folder, "rotate", *words)
        assert (ended.code, ended.out) == (2, b"")
        assert told in ended.err


def test_a_role_is_given_or_refused(folder: Path) -> None:
    """Done, done already, and not here: status 2 with file and line, and nothing on standard output."""
    assert operator(folder, "add", "eve", "--role", "operator").code == 0
    assert operator(folder, "role", "eve", "viewer").text == "eve is viewer now, and was operator\n"
    assert operator(folder, "role", "eve", "viewer").text == "eve is viewer already\n"
    assert operator(folder, "role", "eve", "admin", "--json").json == {
        "name": "eve",
        "role": "admin",
        "before": ["viewer"],
    }
    ended = operator(folder, "role", "vera", "admin")
    assert (ended.code, ended.out) == (2, b"")
    assert "hub.toml, line " in ended.err


def test_whoever_stands_in_hub_toml_is_removed_too(folder: Path) -> None:
    """It says that the entry gives nothing any more, and where it is."""
    told = operator(folder, "remove", "vera").text
    assert "vera is revoked" in told
    assert "hub.toml, line " in told
    assert "removed" in next(line for line in operator(folder, "list").text.splitlines() if line.startswith("vera"))
    assert operator(folder, "add", "vera").code == 0


def test_the_last_admin_is_not_removed_in_silence(folder: Path) -> None:
    """It is done, and said; at the hub's terminal there is always a way back."""
    assert operator(folder, "add", "eve", "--role", "operator").code == 0
    assert operator(folder, "role", "eve", "viewer").err == ""
    assert "nobody is an admin any more" in operator(folder, "remove", "alice").err
    assert operator(folder, "add", "alice").code == 0
    assert "nobody" not in operator(folder, "role", "eve", "operator").err


def test_a_new_factor_waits_for_its_code(folder: Path) -> None:
    """Without a terminal the command says how it is confirmed; standard input carries the code."""
    operator(folder, "add", "eve", "--role", "viewer")
    assert operator(folder, "totp", "eve", "--json").json["pending"] is False
    ended = operator(folder, "totp", "eve")
    assert "otpauth://" in ended.text
    assert "the old factor counts until" in ended.err
    assert "--confirm" in ended.err
    ended = operator(folder, "totp", "eve", "--confirm", stdin=b"000000\n")
    assert (ended.code, ended.out) == (2, b"")
    assert operator(folder, "totp", "eve", "--remove", "--json").json == {"person": "eve", "removed": True}
    assert operator(folder, "totp", "eve", "--remove", "--confirm").code == 2


def test_a_terminal_that_cannot_show_the_picture_shows_the_uri(monkeypatch: pytest.MonkeyPatch) -> None:
    """Latin-1 has no blocks: the line that can be typed is there, and no traceback."""
    out, err = io.TextIOWrapper(io.BytesIO(), "latin-1"), io.StringIO()
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", err)
    people._show_factor("bob", "otpauth://totp/x:bob?secret=ABC")
    out.flush()
    assert b"otpauth://totp/x:bob?secret=ABC" in out.buffer.getvalue()  # type: ignore[attr-defined]
    assert "cannot show the picture" in err.getvalue()


def test_who_somebody_is_in_chat(folder: Path) -> None:
    """Said and taken back, also of somebody of hub.toml; what stands there is not undone here."""
    for name in ("alice", "vera"):
        assert people_of(folder, "link", name, f"ops:{name}-2").text == f"ops:{name}-2 is {name} now\n"
    assert people_of(folder, "link", "vera", "ops:vera-2").code == 0  # it is so already
    listed = operator(folder, "list", "--json").json
    assert next(one["chat"] for one in listed if one["name"] == "vera") == ["ops:vera", "ops:vera-2"]
    for words, problem in (
        (("link", "vera", "ops:alice-2"), "ops:alice-2 is alice already"),
        (("link", "vera", "ops:alice"), "ops:alice is alice already"),
        (("link", "vera", "chat:x"), "inlets here: ops"),
        (("link", "vera", "ops"), "is not INLET:USER"),
        (("link", "nobody", "ops:x"), "there is no person nobody"),
        (("unlink", "vera", "ops:vera"), "hub.toml, line "),
        (("unlink", "vera", "ops:alice-2"), "vera is not ops:alice-2 in chat: by command vera is: ops:vera-2"),
    ):
        ended = people_of(folder, *words)
        assert (ended.code, ended.out) == (2, b""), words
        assert problem in ended.err
    for name in ("alice", "vera"):
        assert people_of(folder, "unlink", name, f"ops:{name}-2").code == 0
    assert people_of(folder, "unlink", "vera", "ops:vera-2").code == 2
