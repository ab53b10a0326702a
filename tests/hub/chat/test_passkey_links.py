"""Links to the page that makes a passkey: who can use one, how often, and until when."""

from __future__ import annotations

from hub.chat.one_time_links import MAX_LINKS
from hub.chat.passkey_links import SECONDS, PasskeyLink, PasskeyLinks

NOW = 1_700_000_000.0


def link(person: str = "bob") -> PasskeyLink:
    return PasskeyLink(person, "phone", "en", NOW + SECONDS)


def test_a_link_is_used_once_with_the_form_of_its_page() -> None:
    """Trust: another form, another token, a second use and a later time get nothing; no secret is printed."""
    links, given = PasskeyLinks(), link()
    token = links.give(given)
    for wrong in ("", "x" * 43, "é" * 43):
        assert links.take(token, wrong, NOW) is None
    for other in ("", token[:-1], token + "x", "é" * 43):
        assert links.find(other, NOW) is None
        assert links.take(other, given.form, NOW) is None
    assert links.find(token, given.until) is None
    assert links.take(token, given.form, given.until) is None
    assert links.take(token, given.form, NOW) == given
    assert links.take(token, given.form, NOW) is None
    assert given.form not in repr(given)
    assert repr(given.challenge) not in repr(given)
    assert token not in repr(links.__dict__)


def test_each_link_asks_for_something_else() -> None:
    """An answer to one is none to another."""
    assert len({link().challenge for _ in range(8)} | {link().form for _ in range(8)}) == 16


def test_another_link_of_the_same_person_ends_the_first() -> None:
    """Others keep theirs; and there are no more than so many."""
    links = PasskeyLinks()
    first, anns = links.give(link()), links.give(link("ann"))
    second = links.give(link())
    assert links.find(first, NOW) is None
    assert links.find(second, NOW) is not None
    assert links.find(anns, NOW) is not None
    for number in range(MAX_LINKS):
        links.give(link(f"p{number}"))
    assert links.find(second, NOW) is None
