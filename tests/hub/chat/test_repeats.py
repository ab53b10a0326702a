"""What is known of posts that were tried, without any outbox."""

from __future__ import annotations

from hub.chat import repeats
from hub.chat.platforms.base import Delivered, DeliveryFailed, OutboundReply, ReplyContent
from hub.chat.repeats import Attempts, marked_for_people
from hub.core.records import Reply
from tests.each import each_of

REFUSED = DeliveryFailed("no", "refused", unsent=True)
LOST = DeliveryFailed("no answer")


def reply(id: int, attempts: int = 0) -> Reply:  # noqa: A002 - the record's word
    return Reply(id, "R1", "ops", "final", "https://chat.example/r", "{}", 0.0, 0.0, attempts=attempts)


def test_what_was_pending_at_the_start_may_be_there() -> None:
    known = Attempts(7)
    assert [known.may_be_there(reply(id)) for id in (6, 7, 8)] == [True, True, False]  # noqa: A001


@each_of(
    ("results", "may_be"),
    [
        ([REFUSED], False),
        ([REFUSED, REFUSED], False),
        ([LOST], True),
        ([REFUSED, LOST], True),
        ([LOST, REFUSED], True),
        ([REFUSED, LOST, REFUSED], True),
    ],
)
def test_one_attempt_that_may_have_posted_is_enough(results: list[DeliveryFailed], may_be: bool) -> None:
    known = Attempts()
    for number, result in enumerate(results):
        known.note_result(reply(9, number), result)
    assert known.may_be_there(reply(9, len(results))) is may_be


def test_a_result_is_kept_until_it_is_written() -> None:
    known = Attempts()
    assert known.posted(reply(9)) is None
    known.note_result(reply(9), Delivered("ref"))
    assert known.posted(reply(9)) == Delivered("ref")
    known.forget(reply(9))
    assert known.posted(reply(9)) is None


def test_a_newer_state_of_a_card_inherits_the_doubt() -> None:
    known = Attempts(7)
    known.note_overtaken(reply(7), reply(9))
    known.note_overtaken(reply(8), reply(10))
    assert [known.may_be_there(reply(id)) for id in (9, 10)] == [True, False]  # noqa: A001
    known.note_result(reply(9), REFUSED)
    assert known.may_be_there(reply(9, 1))


def test_what_is_known_is_bounded() -> None:
    """Where too many are under way, one is marked that is no repeat, never the other way round."""
    known = Attempts()
    for id in range(1, repeats.MAX_KNOWN + 2):  # noqa: A001
        known.note_result(reply(id), REFUSED)
    assert known.may_be_there(reply(1, 1))
    assert not known.may_be_there(reply(2, 1))


def test_only_a_repeat_that_the_chat_cannot_tell_is_told_in_words() -> None:
    class Knows:
        knows_repeats = True

    posting = OutboundReply("R1.9", "https://chat.example/r", ReplyContent("m", "c", "done").to_json())
    again = OutboundReply(posting.id, posting.url, posting.body, repeated=True)
    card = OutboundReply(posting.id, posting.url, posting.body, ref="7", repeated=True)
    for platform, said in ((object(), posting), (Knows(), again), (object(), card)):
        assert marked_for_people(platform, said) is said
    told = marked_for_people(object(), again).content.text
    assert told == "(May be a repeat: whether the first one arrived is not known.)\ndone"
