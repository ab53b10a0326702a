"""Links to confirm pages: who can use one, how often, and until when."""

from __future__ import annotations

import dataclasses

from hub.chat.confirm_links import MAX_FAILURES, SECONDS, ConfirmLink, ConfirmLinks
from hub.chat.one_time_links import MAX_LINKS

NOW = 1_700_000_000.0
LINK = ConfirmLink("R1", 42, "bob", "hash", ("approve", "reject"), "ops", "en", NOW + SECONDS)


def test_a_link_is_used_once_with_the_form_of_its_page() -> None:
    """Another form, another token, and a second use get nothing; neither secret is in what is printed of it."""
    links = ConfirmLinks()
    token = links.give(LINK)
    assert links.find(token, NOW) == LINK
    for wrong in ("", "x" * 43, "é" * 43):
        assert links.take(token, wrong, NOW) is None
    assert links.take(token[:-1], LINK.form, NOW) is None
    assert links.take(token, LINK.form, NOW) == LINK
    assert links.take(token, LINK.form, NOW) is None
    assert links.find(token, NOW) is None
    assert LINK.form not in repr(LINK)
    assert token not in repr(links.__dict__)


def test_a_link_ends_with_its_time() -> None:
    """To the second."""
    links = ConfirmLinks()
    token = links.give(LINK)
    assert links.find(token, LINK.until - 1) is not None
    assert links.find(token, LINK.until) is None
    assert links.take(token, LINK.form, LINK.until) is None


def test_another_link_for_the_same_request_ends_the_first() -> None:
    """Of one person; others and other requests keep theirs."""
    links = ConfirmLinks()
    first = links.give(LINK)
    carol = links.give(dataclasses.replace(LINK, person="carol"))
    other = links.give(dataclasses.replace(LINK, request="R2"))
    second = links.give(dataclasses.replace(LINK, form="another"))
    assert links.find(first, NOW) is None
    assert all(links.find(token, NOW) is not None for token in (carol, other, second))


def test_wrong_codes_end_a_link() -> None:
    """Before they lock the person."""
    links = ConfirmLinks()
    token = links.give(LINK)
    for tries in range(1, MAX_FAILURES + 1):
        taken = links.take(token, LINK.form, NOW)
        assert taken is not None
        assert links.give_back(token, taken) is (tries < MAX_FAILURES)
    assert links.find(token, NOW) is None


def test_only_so_many_are_kept() -> None:
    """The oldest goes first."""
    links = ConfirmLinks()
    tokens = [links.give(dataclasses.replace(LINK, request=f"R{number}")) for number in range(MAX_LINKS + 1)]
    assert links.find(tokens[0], NOW) is None
    assert links.find(tokens[1], NOW) is not None
