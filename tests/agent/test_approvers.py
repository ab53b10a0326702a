"""agent.approvers: whose own signatures a machine counts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from agent.approvers import (
    KEPT_BEYOND,
    MAX_CHANGES,
    MAX_KEYS,
    MAX_PEOPLE,
    BadApprovers,
    KnownKeys,
    LastChange,
    add_approver,
    known_bytes,
    load_approvers,
    load_known,
    parse_approver,
    parse_approvers,
    parse_known,
    remove_approver,
    set_needed,
    with_passkeys,
)
from agent.cli import main
from common.errors import UserError
from common.key_change import MAX_LIFETIME
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
    with pytest.raises(UserError, match="known as bob's"):  # who has it would be two people
        add_approver(path, "ann", KEY)
    remove_approver(path, "bob", OTHER)
    assert load_approvers(path) == {"bob": (bytes.fromhex(KEY),)}
    with pytest.raises(UserError, match="a key of 'bob' is no approver here"):
        remove_approver(path, "bob", OTHER)
    add_approver(path, "ann", OTHER)
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
    every = {f"p{number}": [f"{number:064x}" for number in range(8 * number, 8 * number + 8)] for number in range(33)}
    files: tuple[dict[str, Any], ...] = (
        {"people": every},
        {"people": {"bob": [KEY], "ann": [KEY]}},
        {"people": {}, "more": 1},
        *({"people": {}, "needed": needed} for needed in (1, 17, "2", True)),
        *({"people": {}, "changes": {KEY: last}} for last in ([1], ["1", ""], [-1, ""], [1, "x" * 17], 7)),
        {"people": {}, "changes": {"x": [1, ""]}},
        {"people": {}, "changes": {f"{number:064x}": [1, ""] for number in range(MAX_CHANGES + 1)}},
    )
    for body in files:
        with pytest.raises(BadApprovers):
            parse_known(json.dumps(body).encode())
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


def test_what_is_done_here_is_the_last_change_of_a_key(tmp_path: Path) -> None:
    """Trust: what somebody signed earlier, and the hub held back, comes too late then; and only as long as it could
    come is it remembered.
    """
    path = tmp_path / "approvers.json"
    add_approver(path, "bob", KEY, wall=lambda: 1000.0)
    assert load_known(path).changes == {KEY: LastChange(1_000_000)}
    remove_approver(path, "bob", wall=lambda: 2000.0)
    assert load_known(path) == KnownKeys(changes={KEY: LastChange(2_000_000)})
    add_approver(path, "ann", OTHER, wall=lambda: 2000.0 + MAX_LIFETIME + KEPT_BEYOND)
    assert set(load_known(path).changes) == {OTHER}


def test_the_file_comes_back(tmp_path: Path) -> None:
    """What is written is read, and a file of before, with the people alone, is taken."""
    known = KnownKeys({"bob": (bytes.fromhex(KEY),)}, 3, {OTHER: LastChange(5, "x")})
    assert parse_known(known_bytes(known)) == known
    assert parse_known(json.dumps({"bob": [KEY], "people": [OTHER]}).encode()).by_key() == {KEY: "bob", OTHER: "people"}
    path = tmp_path / "approvers.json"
    for wrong in (1, 17):
        with pytest.raises(UserError, match=r"is not 2 to 16"):
            set_needed(path, wrong)
    set_needed(path, 3)
    assert load_known(path).needed == 3


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
    assert "of whom there are too few" in run("list")  # no passkey signs a change from afar
    assert f'"{KEY}"' in run("add", "ann", OTHER, "--json")
    assert "wants 2 of these people\n" in run("list")
    assert "wants 3 of these people, of whom there are too few" in run("needed", "3")
    assert "bob" not in run("remove", "bob", KEY)
    assert line not in run("remove", "ann", line)
    assert "nobody" in run("remove", "ann")
