"""A message as meanings."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hub.planning.runbooks.lexicon import Lexicon, MeaningToken
from hub.planning.runbooks.phrases import NEGATIONS
from hub.planning.runbooks.tokens import MessageWord, tokenize
from tests.each import each_of
from tests.hub.planning.defaults import default_chain


def words(text: str) -> tuple[MessageWord, ...]:
    found = tokenize(text)
    assert found is not None, text
    return found.words


LEARNT = Lexicon(
    [words("backlog of the widgets on {machine}"), words("{machine} 的订单积压"), words("is {path} clean on {machine}")]
)


def told(text: str, lexicon: Lexicon = LEARNT) -> list[str]:
    """Kind and text of each token that is not harmless."""
    return [
        f"{token.kind}:{token.text}"
        for token in lexicon.tokenize(words(text))
        if token.kind not in ("harmless", "noun")
    ]


@each_of(
    ("text", "tokens"),
    [
        ("how much RAM is free on web-1?", ["meaning:memory", "meaning:free", "name:web-1"]),
        ("看下web-1的内存", ["name:web-1", "meaning:memory"]),
        ("hard disk space on role=db", ["meaning:disk", "meaning:space", "machine:role=db"]),
        ("disk on all machines", ["meaning:disk", "machine:*"]),
        ("errors in the last 30 minutes", ["meaning:error", "meaning:recent", "number:30m"]),
        ("最近2小时的报错", ["meaning:recent", "number:2h", "meaning:error"]),
        ("最近一小时的报错", ["meaning:recent", "number:1h", "meaning:error"]),
        ("files larger than 500 MB in /srv", ["meaning:file", "meaning:over", "number:500M", "path:/srv"]),
        ("minutes of load", ["unknown:m", "meaning:load"]),
        ("web-1 和 web-2", ["name:web-1", "and:和", "name:web-2"]),
        ("記憶體", ["meaning:memory"]),
        ("how to reboot", ["block:", "meaning:reboot"]),
        ("web-1 磁盘温度", ["name:web-1", "meaning:disk", "unknown:温", "unknown:度"]),
        ("disk on @web-1", ["meaning:disk", "name:web-1"]),
    ],
)
def test_what_each_word_is(text: str, tokens: list[str]) -> None:
    """Both languages, the longest phrase first; what is not known stays, and is seen."""
    assert told(text) == tokens


def test_examples_teach_words() -> None:
    """An English word in singular and plural, a run of Chinese as one."""
    assert told("widget backlog") == ["meaning:widget", "meaning:backlog"]
    assert told("订单积压") == ["meaning:订单积压"]
    assert told("订单", Lexicon()) == ["unknown:订", "unknown:单"]


def test_an_act_among_the_words_of_examples_is_marked() -> None:
    """ "is {path} clean" must not make "clean {path}" known."""
    assert LEARNT.acts == {"clean"}


@each_of(
    ("text", "blocked"),
    [
        ("同步时间", True),
        ("请帮我同步一下 web-1 的时间", True),
        ("web-1 时间同步", False),
        ("把 web-1 的时间改了", True),
        ("把 web-1 的时间给我看看", False),
        ("web-1 满了告诉我", True),
        ("告诉我 web-1 满了没", False),
    ],
)
def test_an_act_is_no_question(text: str, blocked: bool) -> None:
    """A word for a thing at the beginning of a message is what to do with it, and so is what 把 hands over."""
    assert any(token.startswith("block:") for token in told(text)) is blocked


def test_a_slip_is_corrected_where_one_thing_can_be_meant() -> None:
    """Also between two words of one meaning; never between two meanings, never a real word."""
    assert LEARNT.correct_spelling("memmory") == MeaningToken("meaning", "memory")
    assert LEARNT.correct_spelling("proceses") == MeaningToken("meaning", "process")
    assert LEARNT.correct_spelling("widgtes") == MeaningToken("meaning", "widget")
    assert LEARNT.correct_spelling("pleaes") == MeaningToken("harmless", "")
    assert LEARNT.correct_spelling("posts") is None
    assert LEARNT.correct_spelling("nginx") is None


def test_no_example_of_ours_teaches_a_negation() -> None:
    """Then every message with it would have one word less to account for."""
    runbooks = default_chain().runbooks
    lexicon = Lexicon(words(example) for one in runbooks.runbooks for some in one.examples.values() for example in some)
    for negation in NEGATIONS | {"if", "yesterday", "tomorrow", "如", "昨", "明", "删", "停"}:
        token, _ = lexicon.tokenize([MessageWord(negation, negation), MessageWord("/", "/")])
        assert token.kind in ("name", "unknown", "block"), negation


@given(st.text("diskmemory web-12磁盘的了 {}/,?@0m", max_size=60))
def test_every_word_is_accounted_for(text: str) -> None:
    """Whatever is written becomes tokens of known kinds, never more than there are words and two."""
    found = tokenize(text)
    if found is not None:
        assert len(LEARNT.tokenize(found.words)) <= len(found.words) + 1
