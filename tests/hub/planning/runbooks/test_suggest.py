"""What a message may have meant."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from common.catalogue import Language, detect_language
from hub.planning.runbooks.matcher import RunbookMatcher
from hub.planning.runbooks.suggest import MAX_SUGGESTIONS
from tests.each import each_of
from tests.hub.planning.defaults import default_chain

RUNBOOKS: RunbookMatcher = default_chain().runbooks


def near(text: str, language: Language | None = None) -> list[str]:
    return [one.runbook.name for one in RUNBOOKS.suggest(text, language or detect_language(text), "web-1")]


@each_of(
    ("text", "name"),
    [
        ("why is the disk so full on web-1", "disk"),
        ("磁盘坏了", "disk"),
        ("web-1 内存泄漏", "memory"),
        ("is the certificate ok", "certificate"),
        ("证书有问题", "certificate"),
        ("somebody hacked our docker containers", "containers"),
        ("memoryleak on web-1", "memory"),
        ("which proceses are bad", "top-cpu"),
        ("restart the whole nginx thing", "restart-service"),
    ],
)
def test_the_nearest_is_offered(text: str, name: str) -> None:
    """By the meanings that few runbooks have; a word misspelt beyond repair counts by its letters."""
    assert name in near(text)


@each_of("text", ["tell me a joke", "hello", "what is the status", "今天天气怎么样", "", 'he said "disk"'])
def test_nothing_is_offered_for_something_else(text: str) -> None:
    """Words that tell nothing bring nothing near."""
    assert near(text) == []


def test_no_change_is_offered_where_it_is_refused() -> None:
    """ "do not" is heard, whatever else is said."""
    assert "restart-service" not in near("do not restart nginx")
    assert "reboot" not in near("不要重启服务器")


def test_a_phrase_fits_the_language() -> None:
    """And names the machine that was asked for."""
    (first, *_) = RUNBOOKS.suggest("磁盘坏了", "zh", "db-9")
    assert first.phrase == "db-9 的磁盘"
    assert 0 < first.score <= 1


@given(st.text("disk memory磁盘内存 ports of.?", max_size=400))
def test_it_is_bounded(text: str) -> None:
    """A few at most, the nearest first, for any text."""
    found = RUNBOOKS.suggest(text, "en", "web-1")
    assert len(found) <= MAX_SUGGESTIONS
    assert [one.score for one in found] == sorted((one.score for one in found), reverse=True)
