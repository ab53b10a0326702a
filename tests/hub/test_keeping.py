"""What the hub's small commands do beside a serving hub."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from common.errors import UserError
from hub import keeping
from hub.config import HubConfig, load
from hub.setup import init

NOW = time.time()


@pytest.fixture
def config(tmp_path: Path) -> HubConfig:
    """A hub made by `init`, with its admin in the store."""
    summary = init(tmp_path / "hub", now=NOW, admin="alice", record=lambda made: keeping.record_init(made, NOW))
    return load(summary.folder.config)


def kinds(config: HubConfig) -> list[str]:
    with keeping.opened(config, NOW) as store:
        return [event.kind for event in store.read_now(lambda txn: txn.events())]


def test_the_admin_of_init_is_known_to_the_store(config: HubConfig) -> None:
    """A person, a certificate, and the first audit row."""
    with keeping.opened(config, NOW) as store:
        person = store.read_now(lambda txn: txn.person("alice"))
        (credential,) = store.read_now(lambda txn: txn.credentials("operator", "alice"))
    assert person is not None
    assert person.roles == ("admin",)
    assert credential.revoked_at is None
    assert kinds(config)[0] == "hub.created"


def test_an_invitation_is_a_whole_command_and_only_its_digest_is_kept(config: HubConfig) -> None:
    """The command holds address, token and pin; the token's text is nowhere in the store's files."""
    made = keeping.invite_agent(config, "web-1", ["role=web"], 600, NOW)
    assert made["command"].startswith("answerback-agent join wss://")
    assert made["token"] in made["command"]
    assert made["ca_pin"] in made["command"]
    secret = made["token"].rpartition(".")[2].encode()
    assert not any(secret in file.read_bytes() for file in (config.folder.path / "data").iterdir())
    with keeping.opened(config, NOW) as store:
        (event,) = store.read_now(lambda txn: txn.events(kind_prefix="token."))
    assert event.data["labels"] == {"role": "web"}


@pytest.mark.parametrize(
    ("name", "labels", "ttl", "word"),
    [
        ("../x", [], 600, "../x"),
        ("", [], 600, "name"),
        ("web-1", ["role"], 600, "role"),
        ("web-1", ["role=a b"], 600, "role=a b"),
        ("web-1", [], 0.5, "--ttl"),
        ("web-1", [], 30 * 86_400, "--ttl"),
    ],
)
def test_what_cannot_be_invited(config: HubConfig, name: str, labels: list[str], ttl: float, word: str) -> None:
    """Names, labels and times out of bounds are refused by name, with the cure."""
    with pytest.raises(UserError, match=word.replace(".", r"\.")):
        keeping.invite_agent(config, name, labels, ttl, NOW)


def test_an_operator_gets_a_role_and_a_login_command(config: HubConfig) -> None:
    """Added anew with another role, the role is the new one."""
    made = keeping.invite_operator(config, "bob", "approver", 600, NOW)
    assert made["command"].startswith("answerback login wss://")
    keeping.invite_operator(config, "bob", "viewer", 600, NOW)
    with keeping.opened(config, NOW) as store:
        person = store.read_now(lambda txn: txn.person("bob"))
    assert person is not None
    assert person.roles == ("viewer",)


def test_revoking_is_counted_and_unknown_names_are_refused(config: HubConfig) -> None:
    """The admin's one certificate; nobody's none."""
    assert keeping.revoke(config, "operator", "alice", NOW) == 1
    with pytest.raises(UserError, match="nobody"):
        keeping.revoke(config, "agent", "nobody", NOW)


def test_a_second_factor_is_sealed(config: HubConfig) -> None:
    """The secret of the URI is nowhere in the store's files; an unknown person gets none."""
    uri = keeping.enrol(config, "alice", NOW)
    secret = uri.split("secret=")[1].split("&")[0].encode()
    assert not any(secret in file.read_bytes() for file in (config.folder.path / "data").iterdir())
    with pytest.raises(UserError, match="eve"):
        keeping.enrol(config, "eve", NOW)


def test_the_files_of_a_new_hub_are_in_order(config: HubConfig) -> None:
    """check reads rules, runbooks, keys."""
    found = keeping.check_files(config)
    assert found["rules"] > 50
    assert found["runbooks"] > 12
    assert all(line.startswith("ok") for line in found["lines"])


def test_policy_is_judged_for_a_plain_operator_or_a_named_person(config: HubConfig) -> None:
    """An unknown person or machine is refused, with those that are known."""
    assert keeping.policy_facts(config, None, "")[1] == ("operator",)
    assert keeping.policy_facts(config, "alice", "")[1] == ("admin",)
    with pytest.raises(UserError, match="alice"):
        keeping.policy_facts(config, "eve", "")
    with pytest.raises(UserError, match="web-9"):
        keeping.policy_facts(config, None, "web-9")


def test_words_of_a_command_line_are_one_line() -> None:
    """One word is a line as typed; several are quoted again."""
    assert keeping.join_words(["df -h"]) == "df -h"
    assert keeping.join_words(["echo", "a b"]) == "echo 'a b'"


def test_lines_of_any_bytes_are_read(tmp_path: Path) -> None:
    """What is not UTF-8 becomes lone surrogates, which the grammar refuses; a file that is not there is named."""
    file = tmp_path / "lines"
    file.write_bytes(b"df -h\n\xff\xfe\n\nlast\n")
    assert list(keeping.read_lines(str(file))) == ["df -h", "\udcff\udcfe", "", "last"]
    with pytest.raises(UserError, match="nothing-there"):
        list(keeping.read_lines(str(tmp_path / "nothing-there")))


def test_the_audit_is_verified_and_exported(config: HubConfig, tmp_path: Path) -> None:
    """The export verifies offline with this hub's keys; a flipped character does not."""
    keeping.invite_agent(config, "web-1", [], 600, NOW)
    assert keeping.verify_audit(config, None)["ok"]
    lines: list[str] = []
    keeping.export_audit(config, lines.append)
    file = tmp_path / "audit.jsonl"
    file.write_text("".join(lines))
    report = keeping.verify_audit(config, file)
    assert (report["ok"], report["checked"]) == (True, len(kinds(config)))
    assert all(json.loads(line) for line in lines)
    file.write_text("".join(lines).replace('"web-1"', '"web-2"', 1))
    assert not keeping.verify_audit(config, file)["ok"]
    with pytest.raises(UserError, match="gone"):
        keeping.verify_audit(config, tmp_path / "gone")
