"""agent.approvers: whose own signatures a machine counts."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.approvers import (
    MAX_KEYS,
    MAX_PEOPLE,
    add_approver,
    load_approvers,
    parse_approver,
    parse_approvers,
    remove_approver,
    with_passkeys,
)
from agent.cli import main
from common.errors import UserError
from tests.software_authenticator import SoftwareAuthenticator

KEY, OTHER = "ab" * 32, "cd" * 32


def test_people_are_added_and_taken_out(tmp_path: Path) -> None:
    """A key twice is one key; a second console is a second key; nobody is pinned where there is no file."""
    path = tmp_path / "approvers.json"
    assert load_approvers(path) == {}
    for key in (KEY, KEY.upper(), OTHER):
        add_approver(path, "bob", key)
    assert load_approvers(path) == {"bob": (bytes.fromhex(KEY), bytes.fromhex(OTHER))}
    assert path.stat().st_mode & 0o777 == 0o600
    add_approver(path, "ann", KEY)
    remove_approver(path, "bob")
    assert set(load_approvers(path)) == {"ann"}
    with pytest.raises(UserError, match="is no approver here"):
        remove_approver(path, "bob")


def test_what_is_no_key_changes_nothing(tmp_path: Path) -> None:
    """Lesson A3 E2: every input has a bound, and one beyond it is refused with the cure; the file stays."""
    path = tmp_path / "approvers.json"
    add_approver(path, "bob", KEY)
    before = path.read_bytes()
    for name, key in (("bob", "ab"), ("bob", "zz" * 32), ("../bob", KEY), ("", KEY), ("bob", "")):
        with pytest.raises(UserError) as caught:
            add_approver(path, name, key)
        assert "answerback whoami --approval-key" in caught.value.cure
        assert path.read_bytes() == before
    for number in range(1, MAX_KEYS):
        add_approver(path, "bob", f"{number:064x}")
    with pytest.raises(UserError, match="1 to 8 keys"):
        add_approver(path, "bob", "f" * 64)
    many = {f"p{number}": [KEY] for number in range(MAX_PEOPLE + 1)}
    for text in (b"", b"[]", b"nonsense", str(many).replace("'", '"').encode(), b'{"bob": []}', b'{"bob": "x"}'):
        with pytest.raises(ValueError, match=r"expected|JSON"):
            parse_approvers(text)
    path.write_bytes(b"nonsense")
    with pytest.raises(UserError, match="not JSON"):
        load_approvers(path)
    path.write_bytes(before)
    path.chmod(0o666)
    with pytest.raises(UserError, match="can be changed by others"):
        load_approvers(path)


def test_a_passkey_is_a_key_like_another(tmp_path: Path) -> None:
    """By its line, beside a console's; a line that is none says what is wrong with it."""
    path = tmp_path / "approvers.json"
    passkey = SoftwareAuthenticator().passkey
    for key in (KEY, passkey.line, passkey.line):
        add_approver(path, "bob", key)
    add_approver(path, "ann", OTHER)
    assert load_approvers(path)["bob"] == (bytes.fromhex(KEY), passkey)
    assert with_passkeys(load_approvers(path)) == ["bob"]
    assert parse_approver(f"bob:{passkey.line}") == ("bob", passkey.line)
    before = path.read_bytes()
    for key, said in (
        (passkey.line.upper(), "neither 64 hex digits nor the line of a passkey"),
        (passkey.line[:-9] + " example", "not of the form"),
        (passkey.line.replace("https", "http"), "https://"),
        (passkey.line.replace("es256", "rs256"), "not of the form"),
    ):
        with pytest.raises(UserError, match=said):
            add_approver(path, "bob", key)
        assert path.read_bytes() == before


def test_a_join_may_bring_some(tmp_path: Path) -> None:
    """What is none is told before the token is used."""
    assert parse_approver(f"bob:{KEY.upper()}") == ("bob", KEY)
    for text in ("bob", f"bob:{KEY}0", f":{KEY}", f"../x:{KEY}", ""):
        with pytest.raises(UserError, match="--approver: "):
            parse_approver(text)


def test_the_commands(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """List, add, remove; what stands in the list can be compared with what the person's console prints."""
    (tmp_path / "runner").mkdir()

    def run(*words: str) -> str:
        with pytest.raises(SystemExit) as ended:
            main(["approvers", "--state", str(tmp_path), *words])
        assert ended.value.code == 0
        return capsys.readouterr().out

    assert "nobody" in run("list")
    assert run("add", "bob", KEY) == f"bob  {KEY}\n"
    assert f'"{KEY}"' in run("list", "--json")
    line = SoftwareAuthenticator().passkey.line
    said = run("add", "ann", line)
    assert said.startswith(f"ann  {line}\nbob  {KEY}\nnote: ann: a passkey signs what a page of the hub shows")
    run("remove", "ann")
    assert "nobody" in run("remove", "bob")
