"""What stands around a request and does not change it."""

from __future__ import annotations

from hub.planning.runbooks.phrases import parse_message
from tests.each import each_of


def loose(text: str) -> str:
    message = parse_message(text)
    assert message is not None
    return " ".join(word.key for word in message.loose)


def strict(text: str) -> str:
    message = parse_message(text)
    assert message is not None
    return " ".join(word.key for word in message.strict)


@each_of(
    "text",
    [
        "disk on web-1",
        "please show me the disk on web-1",
        "Could you please check the disk on web-1 now, thanks!",
        "hey, what is the disk on web-1?",
    ],
)
def test_courtesy_and_asking_are_left_out(text: str) -> None:
    """However politely it is said, the same words are left."""
    assert loose(text) == "disk on web-1"


@each_of("text", ["web-1 磁盘", "请帮我看一下 web-1 的磁盘，谢谢", "麻烦查看下web-1上的磁盘", "现在 web-1 的磁盘吗？"])
def test_the_same_in_chinese(text: str) -> None:
    """请, 帮我看一下, 的, 谢谢 change nothing."""
    assert loose(text) == "web-1 磁 盘"


def test_asking_stays_where_something_changes() -> None:
    """ "show restart of nginx" is not "restart of nginx"; only courtesy is left out of what changes something."""
    assert strict("please show the restart") == "show restart"
    assert loose("please show the restart") == "restart"


@each_of("text", ["do not restart nginx", "don't restart nginx", "不要重启 nginx", "别重启 nginx"])
def test_negation_is_seen(text: str) -> None:
    """And its words stay, so that no example fits."""
    message = parse_message(text)
    assert message is not None
    assert message.negated
    assert strict(text) != strict("restart nginx")


@each_of(
    ("text", "question"),
    [
        ("restart nginx", False),
        ("restart nginx?", True),
        ("重启 nginx 吗", True),
        ("can you restart nginx?", False),
        ("能帮我重启 nginx 吗？", False),
        ("请问重启 nginx 吗？", True),
    ],
)
def test_a_polite_question_is_a_request(text: str, question: bool) -> None:
    """ "can you" asks for it; a bare question mark asks about it."""
    message = parse_message(text)
    assert message is not None
    assert message.question is question


@each_of("text", ["web-1 磁盘满了告诉我", "disk full on web-1, tell me"])
def test_an_alert_is_no_question(text: str) -> None:
    """Who ends with "tell me" wants to be told when it happens; what is added then fits no example."""
    assert loose(text).endswith("!")
    assert not loose("告诉我 web-1 磁盘").endswith("!")


@each_of("text", ["磁盘", "看下 web-1 的磁盘", "disk on web-1?", "please disk"])
def test_whether_something_is_asked_for_is_seen(text: str) -> None:
    """A question, or a word that asks."""
    message = parse_message(text)
    assert message is not None
    assert message.is_request is (text != "磁盘")


@each_of("text", ["disk on all machines", "disk on all the machines", "disk on every server"])
def test_every_machine_in_words_is_a_star(text: str) -> None:
    """Said in words it is said, and not assumed."""
    assert loose(text) == "disk on *"


def test_every_machine_in_chinese() -> None:
    """所有机器 and 全部服务器 are the same star."""
    assert loose("所有机器的磁盘") == loose("全部服务器的磁盘") == "* 磁 盘"
