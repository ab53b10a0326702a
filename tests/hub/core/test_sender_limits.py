"""The share of one person, one conversation and one stranger."""

from hub.core.sender_limits import BURST_SECONDS, STRANGER_BURST, OverRate, SenderLimits


def count(limits: SenderLimits, room: str, user: str, person: str, now: float, tries: int = 100) -> int:
    return sum(limits.check("ops", room, user, person, now) is None for _ in range(tries))


def test_each_has_a_share_of_their_own() -> None:
    limits = SenderLimits(person_rate=2, conversation_rate=5)
    assert count(limits, "a", "carol", "carol", 1.0) == 2 * BURST_SECONDS
    assert limits.check("ops", "b", "carol2", "carol", 1.0) == OverRate("person", 0.5)
    assert count(limits, "a", "bob", "bob", 1.0) == 2 * BURST_SECONDS
    assert count(limits, "a", "dora", "dora", 1.0) == BURST_SECONDS
    assert limits.check("ops", "a", "eve", "eve", 1.0) == OverRate("conversation", 0.2)
    assert count(limits, "a", "eve", "eve", 2.0, 7) == 5


def test_a_stranger_gets_a_few_words_a_minute() -> None:
    limits = SenderLimits(person_rate=100, conversation_rate=100)
    assert count(limits, "a", "mallory", "", 1.0) == STRANGER_BURST
    assert count(limits, "a", "mallory", "", 61.0) == 10
    assert count(limits, "a", "trudy", "", 61.0) == STRANGER_BURST
