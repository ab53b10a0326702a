"""`rotate`, `secrets`, `retire` of inlets and models: what is written, what is shown, and what is refused."""

from __future__ import annotations

import json
import stat
import time
from pathlib import Path
from typing import Any

import pytest

import hub.cli.main
from hub.chat.inlets import load_config
from hub.cli.admin import open_store
from hub.core.secret_uses import fingerprint
from hub.identity.secret_times import put_uses, read_book
from tests.run_main import CommandResult, run_main


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "hub"
    ended = run_main(hub.cli.main.main, "init", str(made), "--admin", "alice", "--http", "127.0.0.1:18099")
    assert ended.code == 0, ended.err
    secrets = made / "secrets"
    for name, text in (("big", "sk-canary-1\n"), ("slack", "0" * 32 + "\n"), ("slack.token", "xoxb-1234-abcdefgh\n")):
        (secrets / name).write_text(text)
        (secrets / name).chmod(0o600)
    with (made / "hub.toml").open("a") as file:
        file.write('\n[models.big]\nurl = "http://127.0.0.1:1/v1"\nmodel = "m"\nkind = "openai"\n')
        file.write('key_file = "secrets/big"\n[models.open]\nurl = "http://127.0.0.1:1"\nmodel = "m"\n')
        file.write('[inlets.chat]\nplatform = "slack"\nsecret_file = "secrets/slack"\n')
        file.write('token_file = "secrets/slack.token"\n')
    return made


def run(folder: Path, *words: str, stdin: bytes = b"") -> CommandResult:
    ended = run_main(hub.cli.main.main, *words, "--config", str(folder / "hub.toml"), stdin=stdin)
    assert "Traceback" not in ended.err
    assert "canary" not in ended.out.decode() + ended.err
    return ended


def listed(folder: Path, *words: str) -> list[dict[str, Any]]:
    return json.loads(run(folder, *words, "--json").out)


def test_a_secret_of_ours_is_made_shown_once_and_holds_beside_the_old_one(folder: Path) -> None:
    """Trust: rotated by command; the old one holds, the new one is first, is printed once and never again."""
    file = folder / "secrets" / "ops"
    old = file.read_bytes().strip()
    before = time.time()
    ended = run(folder, "inlet", "rotate", "ops")
    assert ended.code == 0, ended.err
    new = ended.out.strip()
    assert file.read_bytes().splitlines() == [new, old]
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert "kill -HUP" in ended.err
    assert f"inlet retire ops {fingerprint(old)}" in ended.err
    told = listed(folder, "inlet", "secrets", "ops")
    assert [(one["key"], one["fingerprint"]) for one in told] == [
        ("secret_file", fingerprint(new)),
        ("secret_file", fingerprint(old)),
    ]
    assert before <= told[0]["since"] <= time.time()
    assert told[1]["since"] is told[0]["last_used"] is None
    shown = run(folder, "inlet", "secrets", "ops").out.decode() + json.dumps(told)
    assert new.decode() not in shown
    assert old.decode() not in shown
    config = load_config(folder / "hub.toml")
    with open_store(config, time.time()) as store:
        (row,) = store.read_now(lambda txn: txn.events(kind_prefix="secret."))
    assert (row.kind, row.subject, row.actor) == ("secret.rotated", "inlets.ops", "terminal")
    assert dict(row.data) == {"key": "secret_file", "fingerprint": fingerprint(new), "secrets": 2}


def test_an_old_secret_goes_once_it_is_not_in_use(folder: Path) -> None:
    """Trust: what is in use, and the last one, is not ended by mistake."""
    config = load_config(folder / "hub.toml")
    old = fingerprint(config.inlets["ops"].secrets[0])
    assert "is the only secret" in run(folder, "inlet", "retire", "ops", old).err
    new = json.loads(run(folder, "inlet", "rotate", "ops", "--json").out)["fingerprint"]

    def use(mark: str, ago: float) -> None:
        with open_store(config, time.time()) as store:
            store.write_now(lambda txn: put_uses(txn, {("inlets.ops", mark): time.time() - ago}))

    use(old, 60)
    refused = run(folder, "inlet", "retire", "ops", old)
    assert refused.code != 0
    assert "still needed: it was used 6" in refused.err
    use(old, 7200)
    assert "none of the others was used since" in run(folder, "inlet", "retire", "ops", old).err
    assert "no secret has the fingerprint" in run(folder, "inlet", "retire", "ops", "00000000").err
    assert len(listed(folder, "inlet", "secrets", "ops")) == 2
    use(new, 5)
    assert run(folder, "inlet", "retire", "ops", old).code == 0
    assert [one["fingerprint"] for one in listed(folder, "inlet", "secrets", "ops")] == [new]
    with open_store(config, time.time()) as store:
        assert list(store.read_now(read_book)["inlets.ops"]) == [new]


def test_what_the_other_side_makes_is_given_and_what_does_not_fit_changes_nothing(folder: Path) -> None:
    """A secret of Slack comes from standard input or a file; bad ones are refused with the files as they were."""
    files = {name: (folder / "secrets" / name).read_bytes() for name in ("slack", "slack.token", "big", "ops")}
    for words, stdin, said in (
        (("inlet", "rotate", "chat"), b"", "is made on the other side"),
        (("inlet", "rotate", "chat", "--secret-file", "-"), b"canary", "signing secret"),
        (("inlet", "rotate", "chat", "--secret-file", "-"), b"1" * 32 + b"\n" + b"2" * 32, "not one secret"),
        (("inlet", "rotate", "chat", "--secret-file", "-"), b"canary " * 20_000, "not one secret"),
        (("inlet", "rotate", "chat", "--secret-file", "-"), b"0" * 32, "stands there already"),
        (("inlet", "rotate", "chat", "--secret", "other_file", "--secret-file", "-"), b"x", "say one of: secret_file"),
        (("inlet", "rotate", "none"), b"", "there is no inlet none"),
        (("models", "rotate", "none"), b"", "there is no model none"),
        (("models", "rotate", "open"), b"", "has no key_file"),
        (("models", "rotate", "big", "--secret-file", "-"), b"canary 2", "no header"),
        (("models", "rotate", "big", "--secret-file", "-"), "canary密".encode(), "no header"),
    ):
        ended = run(folder, *words, stdin=stdin)
        assert ended.code != 0, words
        assert said in ended.err, (words, ended.err)
    assert {name: (folder / "secrets" / name).read_bytes() for name in files} == files
    ended = run(
        folder, "inlet", "rotate", "chat", "--secret", "token_file", "--secret-file", "-", stdin=b"xoxb-5-canary"
    )
    assert ended.code == 0, ended.err
    assert ended.out == b""
    assert (folder / "secrets" / "slack.token").read_text() == "xoxb-5-canary\nxoxb-1234-abcdefgh\n"
    assert [one["key"] for one in listed(folder, "inlet", "secrets", "chat")] == [
        "secret_file",
        "token_file",
        "token_file",
    ]


def test_keys_of_models(folder: Path) -> None:
    """Trust: model keys too: a new one first, by fingerprint, the old one until it is retired; no reload is needed."""
    ended = run(folder, "models", "rotate", "big", "--secret-file", "-", stdin=b"sk-canary-2\n")
    assert ended.code == 0, ended.err
    assert "kill -HUP" not in ended.err
    marks = [fingerprint(b"sk-canary-2"), fingerprint(b"sk-canary-1")]
    assert [one["fingerprint"] for one in listed(folder, "models", "secrets", "big")] == marks
    assert run(folder, "models", "retire", "big", marks[1]).code == 0
    assert (folder / "secrets" / "big").read_text() == "sk-canary-2\n"
