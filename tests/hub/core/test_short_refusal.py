"""A refusal in one line."""

from __future__ import annotations

from common.catalogue import Sentence
from hub.core.short_refusal import MAX_LINE, short_refusal

PHRASES = ", ".join(f"`disk on web-{number}`" for number in range(20))


def test_what_helps_stays() -> None:
    """The cure, the word `help`, the first sentences; what is short stays as it is."""
    offer = Sentence("not_understood_offer", {"phrases": PHRASES, "machine": "web-1"})
    assert "`help`" in short_refusal(offer, "en")
    assert "帮助" in short_refusal(offer, "zh")
    near = Sentence("not_understood_near", {"phrases": "`disk on web-1`"})
    assert short_refusal(near, "en") == near.render("en")
    long = Sentence("link_refused", {"why": "x" * 200})
    cured = Sentence("cured", {"said": long, "cure": Sentence("link_wrong")})
    assert short_refusal(cured, "en") in Sentence("link_wrong").render("en")
    for language in ("en", "zh"):
        for sentence in (offer, near, long, cured):
            line = short_refusal(sentence, language)
            assert line
            assert len(line) <= MAX_LINE
            assert "\n" not in line
    odd = Sentence("odd_beside", {"said": long, "found": Sentence("link_wrong")})
    for sentence in (odd, Sentence("cured", {"said": odd, "cure": Sentence("link_wrong")})):
        assert short_refusal(sentence, "en") == sentence.render("en")
    two = Sentence("link_refused", {"why": "it is so. " + "And this is more of it. " * 20})
    told = short_refusal(two, "en")
    assert told.startswith("that did not work: it is so. And")
    assert told.endswith("of it.")
