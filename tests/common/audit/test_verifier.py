"""The verifier as a stranger runs it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from common.audit.checkpoint import verifier_key
from common.audit.verifier import main
from common.identity.signing import SigningKey
from hub.core.audit_chain import export
from tests.common.audit.logs import HUB, KEY, a_log
from tests.common.audit.test_proof import included


@pytest.fixture
def written(tmp_path: Path) -> Path:
    log, path = a_log(), tmp_path / "audit.jsonl"
    path.write_text("".join(export(log.rows, log.marks, log.keys, hub=HUB, count=9)))
    return path


def test_an_export_with_key_and_witness(written: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Holds, does not hold, was asked wrongly: 0, 1, 2; in words and as JSON."""
    key, notes = verifier_key(HUB, KEY.public), written.with_name("notes")
    notes.write_text(a_log().marks[1].line(HUB, KEY.public))
    assert main([str(written), "--key", key, "--witness", str(notes)]) == 0
    assert "signed up to row 9" in (told := capsys.readouterr().out)
    assert "seen outside up to row 7" in told
    assert main([str(written)]) == 0
    assert "prove nothing about who wrote it" in capsys.readouterr().out
    assert main([str(written), "--key", verifier_key(HUB, SigningKey.generate().public), "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["code"] == "key_replaced"
    written.write_bytes(written.read_bytes().replace(b'"j4"', b'"j5"', 1))
    assert main([str(written), "--key", key]) == 1
    assert "does NOT hold at row 5" in (told := capsys.readouterr().out)
    assert "edited: compare with a backup" in told
    for words in ([str(written), "--key", "nonsense"], ["/nonexistent/audit"]):
        assert main(words) == 2
        assert "verifier: " in capsys.readouterr().err
    with pytest.raises(SystemExit, match="2"):
        main([])


def test_a_proof(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    proof, key = tmp_path / "proof", verifier_key(HUB, KEY.public)
    proof.write_text(json.dumps(included(5)))
    assert main(["--proof", str(proof), "--key", key]) == 0
    assert "proven: event 5" in capsys.readouterr().out
    assert main(["--proof", str(proof), "--key", verifier_key(HUB, SigningKey.generate().public)]) == 1
    assert "NOT proven" in capsys.readouterr().out
