"""When a reply is tried again, when it is given up, and when a whole host is left alone."""

from __future__ import annotations

from email.utils import formatdate

from hypothesis import given
from hypothesis import strategies as st

from hub.chat.platforms.base import DeliveryFailed
from hub.chat.retry import MAX_HOSTS, Dead, HostBreaker, Retry, backoff, is_own_wait, retry_after, retry_or_give_up
from tests.each import each_of

NOW = 1_700_000_000.0
DAY = 24 * 3600.0


def follows(failed: DeliveryFailed, attempts: int = 1, age: float = 0.0, chance: float = 0.5) -> Retry | Dead:
    return retry_or_give_up(failed, attempts=attempts, created_at=NOW - age, now=NOW, jitter=chance)


def test_the_backoff_doubles_up_to_five_minutes() -> None:
    """1, 2, 4 … 256, 300 seconds, for as long as it takes."""
    assert [backoff(attempt, 0.5) for attempt in range(1, 12)] == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]
    assert backoff(1_000_000, 0.5) == 300


@given(st.integers(1, 100), st.floats(0, 1, exclude_max=True))
def test_the_jitter_is_a_quarter_either_way(attempts: int, chance: float) -> None:
    """Replies that failed together do not come back together."""
    middle = backoff(attempts, 0.5)
    assert 0.75 * middle <= backoff(attempts, chance) <= 1.25 * middle


@given(st.integers(1, 100), st.floats(0, 1, exclude_max=True))
def test_a_hub_that_was_restarted_knows_its_own_waits(attempts: int, chance: float) -> None:
    """Whatever the jitter was; what a receiver asked for is longer, and a pace has no error."""
    own = follows(DeliveryFailed("x"), attempts, chance=chance)
    assert isinstance(own, Retry)
    assert is_own_wait(attempts, own.at - NOW, own.reason)
    asked = follows(DeliveryFailed("x", retry_after="3000"), attempts, chance=chance)
    assert isinstance(asked, Retry)
    assert not is_own_wait(attempts, asked.at - NOW, asked.reason)
    assert not is_own_wait(0, 1.0, "")
    assert is_own_wait(0, 61.0, "the host was left alone")


def test_gone_ends_it_at_once() -> None:
    """410 means that nobody is there any more."""
    assert follows(DeliveryFailed("410", "gone")) == Dead("410")


def test_a_refusal_gets_three_attempts() -> None:
    """A client error may be a deployment in between, but not three times."""
    assert isinstance(follows(DeliveryFailed("404", "refused"), 1), Retry)
    assert isinstance(follows(DeliveryFailed("404", "refused"), 2), Retry)
    assert follows(DeliveryFailed("404", "refused"), 3) == Dead("404")


def test_trouble_is_retried_for_a_day() -> None:
    """A receiver that is down gets its replies when it is back, unless that is too late."""
    assert isinstance(follows(DeliveryFailed("down"), attempts=400, age=DAY - 400), Retry)
    ended = follows(DeliveryFailed("down"), attempts=400, age=DAY - 200)
    assert isinstance(ended, Dead)
    assert "down" in ended.reason


def test_retry_after_is_honoured_and_capped() -> None:
    """The receiver's wish lengthens the wait, never shortens it, and at most to an hour."""
    assert follows(DeliveryFailed("429", retry_after="60")) == Retry(NOW + 60, "429")
    assert follows(DeliveryFailed("429", retry_after="0")) == Retry(NOW + 1, "429")
    assert follows(DeliveryFailed("429", retry_after="999999999")) == Retry(NOW + 3600, "429")


@each_of(
    ("header", "seconds"),
    [
        ("", None),
        ("7", 7.0),
        (" 7 ", 7.0),
        ("-7", None),
        ("7.5", None),
        ("1e9", None),
        ("٧", None),
        ("soon", None),
        (formatdate(NOW + 90, usegmt=True), 90.0),
        (formatdate(NOW - 90, usegmt=True), 0.0),
        (formatdate(NOW + 10**7, usegmt=True), 3600.0),
        ("Tue, 14 Nov 2023 22:15:00 -0000", 100.0),
        ("9" * 10_000, None),
        ("Tue, 99 Nov 2023 22:15:00 GMT", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(header: str, seconds: float | None) -> None:
    """Both forms of the header are read; anything else is as if it were not there."""
    assert retry_after(header, NOW) == seconds


@given(st.text(max_size=70))
def test_no_header_raises(header: str) -> None:
    """Whatever a receiver sends, the outcome is within the bounds."""
    seconds = retry_after(header, NOW)
    assert seconds is None or 0 <= seconds <= 3600


def test_a_silent_host_is_left_alone_longer_and_longer() -> None:
    """Two failures in a row are nothing; from the third on the host rests, up to a minute."""
    hosts = HostBreaker()
    holds = []
    for _ in range(12):
        hosts.failed("a:443", NOW)
        until = hosts.open_until("a:443", NOW)
        holds.append(0 if until is None else until - NOW)
    assert holds == [0, 0, 1, 2, 4, 8, 16, 32, 60, 60, 60, 60]
    assert hosts.open_until("b:443", NOW) is None
    assert hosts.open_until("a:443", NOW + 60) is None


def test_one_answer_ends_the_rest() -> None:
    """A host that answers, in whatever way, is alive."""
    hosts = HostBreaker()
    for _ in range(5):
        hosts.failed("a:443", NOW)
    hosts.succeeded("a:443")
    assert hosts.open_until("a:443", NOW) is None
    hosts.failed("a:443", NOW)
    assert hosts.open_until("a:443", NOW) is None


def test_only_so_many_hosts_are_remembered() -> None:
    """A flood of names takes no more memory than the bound."""
    hosts = HostBreaker()
    for number in range(MAX_HOSTS + 1):
        for _ in range(3):
            hosts.failed(str(number), NOW)
    assert hosts.open_until("0", NOW) is None
    assert hosts.open_until("1", NOW) is not None
