"""Asking for work and following it stand in the table of verbs as they stand apart, and load nothing of the others."""

from __future__ import annotations

import subprocess
import sys

from common.api import verbs, work
from tests.end_to_end.system import ROOT


def test_the_table_has_the_same_verbs() -> None:
    assert {verbs.VERBS[verb.name] for verb in (work.RUN, work.RETRY, work.FOLLOW)} == {
        work.RUN,
        work.RETRY,
        work.FOLLOW,
    }


def test_no_other_form_of_the_api_is_loaded() -> None:
    """What `answerback run` waits for before it dials."""
    code = "import sys, common.api.work, common.api.versions; print(*sys.modules)"
    ended = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    found = set(ended.stdout.split())
    others = ("verbs", "actions", "queries", "subscriptions", "overview", "agents", "key_changes", "drafts", "lists")
    assert not found & {f"common.api.{name}" for name in others}
    assert not found & {"common.plan", "common.filter.parser", "tomllib", "cryptography"}
