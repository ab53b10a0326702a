"""Recovery codes: their form, and their hashes."""

from __future__ import annotations

from hub.identity.recovery_codes import COUNT, SAID, digest, is_one, make


def test_codes_are_many_random_and_known_by_their_form() -> None:
    """Eighty bits each; an authenticator's code, a plan's code and a word are none."""
    made = make()
    assert len({*made, *make()}) == 2 * COUNT
    assert all(is_one(code) and is_one(code.upper()) and is_one(code.replace("-", " ")) for code in made)
    for other in ("123456", "k7f2", "abr", "abr-aaaa", "abr-0000-0000-0000-0000", f"{made[0]}a", "x" * 10_000, ""):
        assert not is_one(other), other


def test_a_hash_is_of_a_code_and_its_person() -> None:
    """However the code is written; for somebody else it is another one."""
    code = make()[0]
    assert digest("bob", code) == digest("bob", f" {code.upper().replace('-', '')} ")
    assert len({digest("bob", code), digest("ann", code), digest("bob", make()[0])}) == 3


def test_codes_in_a_text_are_found() -> None:
    """Wherever they stand, and nothing else is taken for one."""
    code = make()[0]
    for text in (f"approve r42 {code}", f"{code}.", f"my code:{code.replace('-', '')}!", f"码{code}码"):
        found = SAID.search(text)
        assert found is not None, text
        assert is_one(found[0])
    for text in ("abr-web-1 uptime", "labr-aaaa-bbbb-cccc-dddd", "abroad"):
        assert SAID.search(text) is None, text
