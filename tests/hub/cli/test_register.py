"""People of hub.toml and of the store: what a command may change, and where it says that it cannot."""

from __future__ import annotations

import time
from pathlib import Path

import pyotp
import pytest
import sqlalchemy as sa
from click.testing import CliRunner

from common.errors import UserError
from hub.chat.inlets import load_config
from hub.cli import admin, register
from hub.cli.init import init
from hub.cli.main import hub as hub_group
from hub.config import HubConfig
from hub.identity import recovery_codes
from hub.store.database import Database

NOW = time.time()


@pytest.fixture
def config(tmp_path: Path) -> HubConfig:
    """A hub made by `init`, with its admin alice; vera and bob stand in hub.toml."""
    summary = init(tmp_path / "hub", now=NOW, admin="alice", record=lambda made: admin.record_init(made, NOW))
    with summary.folder.config.open("a") as file:
        file.write('\n[people.vera]\n# looks only\nroles = ["viewer"]\nchat = ["ops:vera"]\n')
        file.write('\n[people.bob]\nroles = ["operator", "approver"]\n')
    return load_config(summary.folder.config)


def entry(config: HubConfig, name: str) -> register.PersonEntry:
    return next(entry for entry in register.list_people(config, NOW) if entry.name == name)


def line_of(config: HubConfig, text: str, after: str) -> int:
    lines = config.path.read_text().splitlines()
    first = lines.index(after)
    return next(number for number in range(first, len(lines)) if lines[number].startswith(text)) + 1


def test_everybody_is_listed_with_where_they_stand(config: HubConfig) -> None:
    """Roles, chat names, second factor, login; the file and the line of those of hub.toml."""
    register.add(config, "eve", "operator", ["ops:eve"], 600, NOW)
    assert [one.name for one in register.list_people(config, NOW)] == ["alice", "bob", "eve", "vera"]
    alice, bob, eve, vera = register.list_people(config, NOW)
    assert (alice.roles, alice.login.until is not None, alice.factor) == (("admin",), True, "none")
    assert (bob.roles, bob.login.until) == (("operator", "approver"), None)
    assert (eve.roles, eve.source, eve.chat) == (("operator",), "command", ("ops:eve",))
    assert (vera.roles, vera.chat) == (("viewer",), ("ops:vera",))
    assert vera.source == f"{config.path}, line {line_of(config, 'roles', '[people.vera]')}"


@pytest.mark.parametrize("command", ["add", "role"])
def test_a_role_that_hub_toml_gives_is_changed_there(command: str, config: HubConfig) -> None:
    """Refused with file and line, and nothing changes; the role that stands there already is no change."""
    with pytest.raises(UserError, match=r"vera is viewer in .*hub.toml, line ") as caught:
        if command == "add":
            register.add(config, "vera", "admin", (), 600, NOW)
        else:
            register.set_role(config, "vera", "admin", NOW)
    assert "reload" in caught.value.cure
    assert entry(config, "vera").roles == ("viewer",)
    assert register.set_role(config, "vera", "viewer", NOW) == ("viewer",)
    assert register.add(config, "bob", "approver", (), 600, NOW)["command"].startswith("answerback login wss://")
    assert register.add(config, "vera", None, (), 600, NOW)["kind"] == "operator"
    assert entry(config, "vera").roles == ("viewer",)


def test_a_role_of_the_store_is_changed_there(config: HubConfig) -> None:
    """It is the new one alone; nobody and somebody revoked get none."""
    register.add(config, "eve", "admin", (), 600, NOW)
    assert register.set_role(config, "eve", "viewer", NOW) == ("admin",)
    assert entry(config, "eve").roles == ("viewer",)
    with pytest.raises(UserError, match="no person mallory") as caught:
        register.set_role(config, "mallory", "viewer", NOW)
    assert "alice, bob, eve, vera" in caught.value.cure
    register.remove(config, "eve", NOW)
    with pytest.raises(UserError, match="eve is revoked"):
        register.set_role(config, "eve", "viewer", NOW)
    with pytest.raises(UserError, match="no role for mallory"):
        register.add(config, "mallory", None, (), 600, NOW)


def test_a_removal_counts_wherever_somebody_stands(config: HubConfig) -> None:
    """Of hub.toml without a row, with one, and of the store; adding takes it back."""
    register.add(config, "eve", "operator", (), 600, NOW)
    assert [register.remove(config, name, NOW) for name in ("vera", "alice", "eve")] == [0, 1, 0]
    for name in ("vera", "alice", "eve"):
        assert (entry(config, name).roles, entry(config, name).revoked_at) == ((), NOW)
    register.add(config, "vera", None, (), 600, NOW)
    assert entry(config, "vera").roles == ("viewer",)
    with pytest.raises(UserError, match="no person mallory"):
        register.remove(config, "mallory", NOW)


@pytest.mark.parametrize(
    ("name", "chat", "told"),
    [
        ("eve", "ops", "not INLET:USER"),
        ("eve", "nowhere:eve", "inlets here: ops"),
        ("eve", "ops:vera", "vera already"),
        ("vera", "ops:other", "hub.toml, line"),
    ],
)
def test_chat_names_that_cannot_be(name: str, chat: str, told: str, config: HubConfig) -> None:
    """One chat user is one person; whoever stands in hub.toml has their chat names there."""
    with pytest.raises(UserError) as caught:
        register.add(config, name, None if name in config.people else "viewer", [chat], 600, NOW)
    assert told in str(caught.value)


def test_a_second_factor_is_sealed(config: HubConfig) -> None:
    """The secret of the URI is nowhere in the store's files; an unknown person gets none."""
    offer = register.offer_factor(config, "alice", NOW)
    uri, pending = offer.uri, offer.pending
    secret = uri.split("secret=")[1].split("&")[0].encode()
    assert not any(secret in file.read_bytes() for file in (config.folder.path / "data").iterdir())
    assert (pending, entry(config, "alice").factor) == (False, "yes")
    with pytest.raises(UserError, match="eve"):
        register.offer_factor(config, "eve", NOW)


def test_recovery_codes_come_with_a_first_factor_and_can_be_renewed(config: HubConfig) -> None:
    """Trust (A7): shown once, in the store only as hashes; new ones end the old, and no factor means no codes."""
    with pytest.raises(UserError, match="alice has no second factor"):
        register.renew_recovery_codes(config, "alice", NOW)
    first = register.offer_factor(config, "alice", NOW).recovery_codes
    assert len(set(first)) == recovery_codes.COUNT
    kept = b"".join(file.read_bytes() for file in (config.folder.path / "data").iterdir())
    assert not any(code.encode() in kept or code.replace("-", "").encode() in kept for code in first)
    second = register.renew_recovery_codes(config, "alice", NOW)
    assert not set(first) & set(second)

    def used(code: str) -> bool:
        with admin.open_store(config, NOW) as store:
            digest = recovery_codes.digest("alice", code)
            return store.write_now(lambda txn: txn.use_recovery_code("alice", digest, NOW))

    assert [used(first[0]), used(second[0]), used(second[0])] == [False, True, False]
    register.drop_factor(config, "alice", NOW)
    assert not used(second[1])


def test_a_new_factor_is_confirmed_by_a_code_of_it(config: HubConfig) -> None:
    """Until then the old one counts; a wrong code, or one of the old factor, ends nothing."""
    old = pyotp.parse_uri(register.offer_factor(config, "bob", NOW).uri)
    offer = register.offer_factor(config, "bob", NOW)
    uri, pending = offer.uri, offer.pending
    assert offer.recovery_codes == ()  # who has a factor keeps the codes
    new = pyotp.parse_uri(uri)
    assert isinstance(old, pyotp.TOTP)
    assert isinstance(new, pyotp.TOTP)
    assert (pending, entry(config, "bob").factor) == (True, "new")
    for code in ("000000", old.at(int(NOW)), ""):
        with pytest.raises(UserError, match="operator totp bob"):
            register.confirm_factor(config, "bob", code, NOW)
    register.confirm_factor(config, "bob", new.at(int(NOW)), NOW)
    assert entry(config, "bob").factor == "yes"
    with pytest.raises(UserError, match="no new second factor"):
        register.confirm_factor(config, "bob", new.at(int(NOW)), NOW)
    register.drop_factor(config, "bob", NOW)
    assert entry(config, "bob").factor == "none"
    with pytest.raises(UserError, match="no second factor"):
        register.drop_factor(config, "bob", NOW)


def test_a_row_of_somebody_else_is_written_anew(config: HubConfig) -> None:
    """Trust: shown as what it is, with the command; no other command makes it count; `operator add` does, without the
    second factor, chat names and recovery codes that somebody else may have written.
    """
    register.add(config, "eve", "operator", ["ops:eve"], 600, NOW)
    first = register.offer_factor(config, "eve", NOW).recovery_codes
    register.link(config, "bob", "ops:bob", NOW)
    database = Database(config.store.url, config.folder.path)
    with database.engine.connect() as connection:
        connection.execute(sa.text("UPDATE people SET roles = '[\"admin\"]', revoked_at = NULL WHERE name <> 'alice'"))
    database.engine.dispose()
    for name in ("eve", "bob"):
        one = entry(config, name)
        assert (one.roles, one.chat, one.factor, one.forged) == ((), (), "none", True)
        for command in (
            lambda n=name: register.set_role(config, n, "operator", NOW),
            lambda n=name: register.link(config, n, "ops:x", NOW),
            lambda n=name: register.offer_factor(config, n, NOW),
            lambda n=name: register.drop_factor(config, n, NOW),
            lambda n=name: admin.invite(config, "operator", n, {}, 600, NOW),
        ):
            if name == "eve":
                with pytest.raises(UserError):
                    command()
    said = CliRunner().invoke(hub_group, ["operator", "list", "--config", str(config.path)])
    assert "the row of eve was written by somebody else than this hub: answerback-hub operator add eve" in said.output
    assert register.remove(config, "eve", NOW) == 0
    assert entry(config, "eve").forged
    register.add(config, "eve", "viewer", (), 600, NOW)
    register.add(config, "bob", None, (), 600, NOW)
    eve, bob = entry(config, "eve"), entry(config, "bob")
    assert (eve.roles, eve.chat, eve.factor, eve.forged) == (("viewer",), (), "none", False)
    assert (bob.roles, bob.forged) == (("operator", "approver"), False)
    with admin.open_store(config, NOW) as store:
        assert store.read_now(lambda txn: txn.count_recovery_codes("eve")) == 0
    assert first
