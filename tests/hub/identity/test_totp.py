from __future__ import annotations

import base64
from dataclasses import replace

import pyotp
from hypothesis import given
from hypothesis import strategies as st

from common.catalogue import LANGUAGES
from common.identity.sealing import Sealer
from hub.core.records import Person
from hub.identity.totp import (
    LOCK_SECONDS,
    MAX_FAILURES,
    PENDING_SECONDS,
    STEP,
    CodeCheck,
    check_code,
    enrol,
    has_pending,
    known_codes,
    offer,
    seal_context,
    spend,
    without_factor,
)
from tests.each import each_of

OTHER = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
SEALER = Sealer.generate()
RFC_SECRET = base64.b32encode(b"12345678901234567890")
RFC_VECTORS = [
    (59, "94287082"),
    (1111111109, "07081804"),
    (1111111111, "14050471"),
    (1234567890, "89005924"),
    (2000000000, "69279037"),
    (20000000000, "65353130"),
]
NOW = 1_800_000_000.0  # the first second of a step


def person(secret: bytes = RFC_SECRET, name: str = "alice") -> Person:
    return Person(name, ("approver",), 0.0, totp_secret=SEALER.seal(secret, seal_context(name)))


def code_at(now: float) -> str:
    return pyotp.TOTP(RFC_SECRET.decode()).at(int(now))


def key_of(answer: CodeCheck) -> str:
    """The sentence's key; it must be sayable in every language."""
    assert all(answer.reason.render(language) for language in LANGUAGES)
    return answer.reason.key


def wrong(now: float) -> str:
    """A code that is good at no step near now."""
    good = {code_at(now + STEP * offset) for offset in range(-2, 3)}
    return next(code for code in ("000000", "111111", "222222", "333333", "444444", "555555") if code not in good)


@each_of(("now", "digits"), RFC_VECTORS)
def test_rfc_6238_vectors(now: int, digits: str) -> None:
    """The last six of the RFC's eight digits (appendix B, SHA-1) are taken at their time."""
    answer = check_code(person(), SEALER, digits[-6:], float(now))
    assert answer.ok
    assert answer.person.totp_last_step == now // STEP


def test_a_code_counts_once() -> None:
    """The same code again is told to be used, in its own step and in the next, and is no failure."""
    first = check_code(person(), SEALER, code_at(NOW), NOW)
    assert first.ok
    for later in (0.0, 1.0, STEP - 1, STEP, 2 * STEP - 1):
        again = check_code(first.person, SEALER, code_at(NOW), NOW + later)
        assert (again.ok, key_of(again), again.person) == (False, "second_factor_used", first.person)


def test_no_earlier_code_after_a_later_one() -> None:
    """After the next step's code was taken (a fast clock), the present one is spent, and the one after next is good."""
    ahead = check_code(person(), SEALER, code_at(NOW + STEP), NOW)
    assert ahead.ok
    assert key_of(check_code(ahead.person, SEALER, code_at(NOW), NOW)) == "second_factor_used"
    assert check_code(ahead.person, SEALER, code_at(NOW + 2 * STEP), NOW + STEP).ok


@each_of(
    ("offset", "ok"),
    [(-2 * STEP, False), (-STEP - 1, False), (-STEP, True), (-1, True), (0, True), (STEP, True), (2 * STEP, False)],
)
def test_the_window_is_one_step_either_way(offset: int, ok: bool) -> None:
    """Codes of the step before and after are taken, to the second, and no others."""
    assert check_code(person(), SEALER, code_at(NOW + offset), NOW).ok is ok


def test_the_window_ends_with_its_step() -> None:
    """A code of a step is good until the last second of the next."""
    assert check_code(person(), SEALER, code_at(NOW), NOW + 2 * STEP - 0.001).ok
    assert not check_code(person(), SEALER, code_at(NOW), NOW + 2 * STEP).ok


def test_five_wrong_codes_lock_and_time_unlocks() -> None:
    """The tries left are counted down; while locked the right code is not looked at, and is still good afterwards."""
    who = person()
    for left in range(MAX_FAILURES - 1, 0, -1):
        answer = check_code(who, SEALER, wrong(NOW), NOW)
        assert key_of(answer) == "second_factor_wrong"
        assert answer.reason.values["left"] == left
        who = answer.person
    fifth = check_code(who, SEALER, wrong(NOW), NOW)
    assert key_of(fifth) == "second_factor_locked"
    assert fifth.reason.values["minutes"] == 15
    assert fifth.person.totp_locked_until == NOW + LOCK_SECONDS
    last = NOW + LOCK_SECONDS - 1
    locked = check_code(fifth.person, SEALER, code_at(last), last)
    assert (locked.ok, key_of(locked), locked.reason.values["minutes"]) == (False, "second_factor_locked", 1)
    assert locked.person == fifth.person
    opened = check_code(locked.person, SEALER, code_at(NOW + LOCK_SECONDS), NOW + LOCK_SECONDS)
    assert opened.ok
    assert (opened.person.totp_failures, opened.person.totp_locked_until) == (0, 0.0)


def test_a_lock_that_is_over_gives_five_tries_again() -> None:
    """After the lock the count begins anew, and ends in the next lock."""
    who = replace(person(), totp_locked_until=NOW)
    for _ in range(MAX_FAILURES):
        who = check_code(who, SEALER, wrong(NOW), NOW).person
    assert who.totp_locked_until == NOW + LOCK_SECONDS


def test_a_right_code_clears_the_failures() -> None:
    """Four slips and a right code do not add up to a lock later."""
    who = replace(person(), totp_failures=MAX_FAILURES - 1)
    answer = check_code(who, SEALER, code_at(NOW), NOW)
    assert answer.ok
    assert answer.person.totp_failures == 0


def test_a_space_in_the_middle_is_how_authenticators_show_it() -> None:
    """`123 456` is 123456."""
    code = code_at(NOW)
    assert check_code(person(), SEALER, f" {code[:3]} {code[3:]} ", NOW).ok


@each_of(
    "code", ["", "12345", "1234567", "12345a", "12 3456", "-12345", "١٢٣٤٥٦", "１２３４５６", "123456\0", "1" * 100_000]
)
def test_what_is_no_code_is_no_guess(code: str) -> None:
    """Letters, other scripts' digits, wrong lengths: told so, not counted."""
    who = person()
    answer = check_code(who, SEALER, code, NOW)
    assert (answer.ok, key_of(answer), answer.person) == (False, "second_factor_form", who)


def test_the_right_code_in_other_digits_is_not_taken() -> None:
    """Full-width digits of the right code do not pass, and do not raise."""
    wide = code_at(NOW).translate({ord("0") + digit: 0xFF10 + digit for digit in range(10)})
    assert key_of(check_code(person(), SEALER, wide, NOW)) == "second_factor_form"


@given(st.text(max_size=20))
def test_no_text_breaks_the_check(code: str) -> None:
    """Whatever is typed in chat: an answer."""
    answer = check_code(person(), SEALER, code, NOW)
    assert answer.ok == (code.strip().replace(" ", "") in {code_at(NOW + STEP * offset) for offset in (-1, 0, 1)})


def test_nobody_without_a_secret() -> None:
    """Not enrolled is never a yes."""
    who = Person("bob", ("approver",), 0.0)
    answer = check_code(who, SEALER, "000000", NOW)
    assert (answer.ok, key_of(answer), answer.person) == (False, "second_factor_not_enrolled", who)


def test_anothers_secret_does_not_serve() -> None:
    """A sealed secret copied into another person's row is unreadable there, and so is one under a lost key."""
    stolen = replace(person(), name="mallory")
    assert key_of(check_code(stolen, SEALER, code_at(NOW), NOW)) == "second_factor_unreadable"
    assert key_of(check_code(person(), Sealer.generate(), code_at(NOW), NOW)) == "second_factor_unreadable"


def test_enrolment() -> None:
    """The URI carries the secret, name and issuer, and its codes are taken; the sealed secret shows nothing."""
    sealed, uri = enrol(SEALER, "alice", "Answerback hub-1")
    totp = pyotp.parse_uri(uri)
    assert isinstance(totp, pyotp.TOTP)
    assert (totp.name, totp.issuer, totp.digits, totp.interval) == ("alice", "Answerback hub-1", 6, STEP)
    assert len(base64.b32decode(totp.secret)) == 20
    assert totp.secret.encode() not in sealed
    who = Person("alice", ("admin",), 0.0, totp_secret=sealed)
    assert check_code(who, SEALER, totp.at(int(NOW)), NOW).ok
    assert enrol(SEALER, "alice", "x")[1] != uri


def test_a_new_factor_counts_with_its_first_code_and_the_old_one_until_then() -> None:
    """Both are taken while it waits; its first code ends the old one, and is used up like any other."""
    who = offer(person(), SEALER.seal(OTHER.encode(), seal_context("alice")), NOW)
    assert has_pending(who, NOW)
    old = check_code(who, SEALER, code_at(NOW), NOW)
    assert (old.ok, old.confirmed, has_pending(old.person, NOW)) == (True, False, True)
    new = check_code(old.person, SEALER, pyotp.TOTP(OTHER).at(int(NOW)), NOW)
    assert (new.ok, new.confirmed, has_pending(new.person, NOW)) == (True, True, False)
    later = NOW + STEP
    assert not check_code(new.person, SEALER, code_at(later), later).ok
    assert not check_code(new.person, SEALER, pyotp.TOTP(OTHER).at(int(NOW)), NOW).ok
    assert check_code(new.person, SEALER, pyotp.TOTP(OTHER).at(int(later)), later).ok


def test_an_offer_ends_and_a_first_factor_needs_no_other() -> None:
    """After a day its codes are wrong ones; where there was no factor the new one counts at once."""
    sealed = SEALER.seal(OTHER.encode(), seal_context("alice"))
    who = offer(person(), sealed, NOW)
    late = NOW + PENDING_SECONDS
    assert not check_code(who, SEALER, pyotp.TOTP(OTHER).at(int(late)), late).ok
    assert check_code(who, SEALER, code_at(late), late).ok
    first = offer(Person("alice", (), 0.0), sealed, NOW)
    assert (first.totp_secret, has_pending(first, NOW)) == (sealed, False)
    assert without_factor(who).totp_secret == without_factor(who).totp_pending == b""


def test_an_offer_forgives_wrong_codes_and_its_own_count_too() -> None:
    """An admin has seen to it; while both count, five wrong codes lock as ever."""
    locked = replace(person(), totp_failures=3, totp_locked_until=NOW + 100)
    who = offer(locked, SEALER.seal(OTHER.encode(), seal_context("alice")), NOW)
    assert (who.totp_failures, who.totp_locked_until) == (0, 0.0)
    for _ in range(MAX_FAILURES):
        who = check_code(who, SEALER, "000000", NOW).person
    assert not check_code(who, SEALER, pyotp.TOTP(OTHER).at(int(NOW)), NOW).ok


def test_codes_around_now_are_known_used_or_not() -> None:
    """Four steps either way, each with its step; those of a factor that is offered too, and none that is wrong."""
    known = known_codes(person(), SEALER, NOW)
    current = int(NOW) // STEP
    assert {step: code for code, step in known.items()} == {
        step: code_at(step * STEP) for step in range(current - 4, current + 5)
    }
    offered = offer(person(), SEALER.seal(OTHER.encode(), seal_context("alice")), NOW)
    both = known_codes(offered, SEALER, NOW)
    assert both[pyotp.TOTP(OTHER).at(int(NOW))] == 0
    assert both.items() >= known.items()
    assert known_codes(Person("alice", (), 0.0), SEALER, NOW) == {}
    assert known_codes(replace(person(), totp_secret=b"x" * 60), SEALER, NOW) == {}
    assert known_codes(person(), SEALER, 0.0).keys() == {code_at(step * STEP) for step in range(5)}


def test_a_spent_code_counts_no_more() -> None:
    """Nor does one before it; the next one does, and spending an older one gives none back."""
    who = spend(person(), int(NOW) // STEP)
    assert not check_code(who, SEALER, code_at(NOW), NOW).ok
    assert not check_code(who, SEALER, code_at(NOW - STEP), NOW).ok
    assert check_code(who, SEALER, code_at(NOW + STEP), NOW).ok
    assert spend(who, 0) == who
