"""The grammar of command lines: what is a word, and which character refuses a line."""

import shlex
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.command.grammar import MAX_LINE, MAX_WORDS, BadLine, is_printable_text, tokenize

ACCEPTED = {
    "df": ("df",),
    "  df   -h  ": ("df", "-h"),
    "grep 'a|b' /var/log/syslog": ("grep", "a|b", "/var/log/syslog"),
    'grep "a|b; $" x'.replace("$", "c"): ("grep", "a|b; c", "x"),
    r'echo "say \"hi\" and \\ too"': ("echo", 'say "hi" and \\ too'),
    r'grep "\d+" x': ("grep", r"\d+", "x"),
    r"echo a\ b \; \* \$HOME": ("echo", "a b", ";", "*", "$HOME"),
    "echo a'b'\"c\"d": ("echo", "abcd"),
    "echo '' \"\"": ("echo", "", ""),
    "git show HEAD~1 HEAD^": ("git", "show", "HEAD~1", "HEAD^"),
    "date +%F_%T": ("date", "+%F_%T"),
    "ps -eo pid,cmd --sort=-%mem": ("ps", "-eo", "pid,cmd", "--sort=-%mem"),
    "echo 你好 'ünï'": ("echo", "你好", "ünï"),
    "echo a#b": ("echo", "a#b"),
    "echo '“quoted”' '—'": ("echo", "“quoted”", "—"),
    r"find /var \( -name x -o -name y \)": ("find", "/var", "(", "-name", "x", "-o", "-name", "y", ")"),
    "echo 'a!b' '~' '#'": ("echo", "a!b", "~", "#"),
}

# line -> (index of the character to blame, sentence)
REFUSED = {
    "df | sh": (3, "grammar_separator"),
    "df;id": (2, "grammar_separator"),
    "df &": (3, "grammar_separator"),
    "df && id": (3, "grammar_separator"),
    "df > /tmp/x": (3, "grammar_separator"),
    "cat </etc/passwd": (4, "grammar_separator"),
    "cat <<EOF": (4, "grammar_separator"),
    "(id)": (0, "grammar_separator"),
    "echo {a,b}": (5, "grammar_separator"),
    "echo () id": (5, "grammar_separator"),
    "echo $HOME": (5, "grammar_expansion"),
    "echo $(id)": (5, "grammar_expansion"),
    "echo `id`": (5, "grammar_expansion"),
    'echo "$(id)"': (6, "grammar_expansion_quoted"),
    'echo "`id`"': (6, "grammar_expansion_quoted"),
    r'echo "\$(id)"': (7, "grammar_expansion_quoted"),
    "ls *.log": (3, "grammar_glob"),
    "ls a?": (4, "grammar_glob"),
    "ls [ab]": (3, "grammar_glob"),
    "echo !!": (5, "grammar_history"),
    "ls ~": (3, "grammar_home"),
    "ls ~root": (3, "grammar_home"),
    "make X=~/y": (7, "grammar_home"),
    "df #x": (3, "grammar_comment"),
    "A=b df": (1, "grammar_assignment"),
    "A+=b df": (2, "grammar_assignment"),
    "echo “x”": (5, "grammar_curly_quote"),
    "df —h": (3, "grammar_dash"),
    "df –h": (3, "grammar_dash"),
    "df \\": (3, "grammar_backslash"),
    "echo 'x": (5, "grammar_open_quote"),
    'echo "x': (5, "grammar_open_quote"),
    'echo "x\\"': (5, "grammar_open_quote"),
    "df\nid": (2, "grammar_line_end"),
    "df 'a\nb'": (5, "grammar_line_end"),
    "df $(\\\nid)": (6, "grammar_line_end"),
    "df\rid": (2, "grammar_line_end"),
    "df\t-h": (2, "grammar_control"),
    "df\x00": (2, "grammar_control"),
    "df '\x1b[31m'": (4, "grammar_control"),
    "df\x7f": (2, "grammar_control"),
    "df\x85id": (2, "grammar_control"),
    "df\u00a0-h": (2, "grammar_white_space"),
    "df\u3000-h": (2, "grammar_white_space"),
    "df\u2028id": (2, "grammar_white_space"),
    "d\u200bf": (1, "grammar_invisible"),
    "echo '\u202egpj.exe'": (6, "grammar_invisible"),
    "echo \u2066x\u2069": (5, "grammar_invisible"),
    "echo \ufeffx": (5, "grammar_invisible"),
    "echo a\u3164b": (6, "grammar_invisible"),
    "echo a\uffa0b": (6, "grammar_invisible"),
    "echo a\u115fb": (6, "grammar_invisible"),
    "echo a\u2800b": (6, "grammar_invisible"),
    "echo a\ufe0fb": (6, "grammar_invisible"),
    "echo a\U000e0041b": (6, "grammar_invisible"),
    "echo a\u00adb": (6, "grammar_invisible"),
    "echo a\ud800b": (6, "grammar_invisible"),
    "echo a\ue000b": (6, "grammar_invisible"),
    "": (0, "grammar_empty"),
    "   ": (0, "grammar_empty"),
}


@pytest.mark.parametrize(("line", "words"), ACCEPTED.items())
def test_line_of_the_grammar_becomes_words(line: str, words: tuple[str, ...]) -> None:
    """Quotes and escapes are removed, nothing is expanded."""
    assert tokenize(line) == words


@pytest.mark.parametrize(("line", "blame"), REFUSED.items())
def test_b5_b6_refused_line_names_character_and_position(line: str, blame: tuple[int, str]) -> None:
    """What a shell would give a meaning to, and what cannot be seen, is refused where it stands (B5, B6)."""
    with pytest.raises(BadLine) as caught:
        tokenize(line)
    position, key = blame
    assert (caught.value.position, caught.value.sentence.key) == (position, key)
    if caught.value.character:
        assert line[position] == caught.value.character
        assert str(position + 1) in str(caught.value)
    for language in ("en", "zh"):
        assert is_printable_text(caught.value.sentence.render(language))


def test_invisible_character_is_named_by_its_code_point() -> None:
    """The refusal shows what cannot be seen."""
    with pytest.raises(BadLine, match="U\\+200B ZERO WIDTH SPACE"):
        tokenize("d\u200bf")


def test_bounds() -> None:
    """A line has at most 8,192 characters and 256 words."""
    assert len(tokenize(" ".join(["a"] * MAX_WORDS))) == MAX_WORDS
    assert len(tokenize("a" * MAX_LINE)[0]) == MAX_LINE
    with pytest.raises(BadLine, match="256"):
        tokenize(" ".join(["a"] * (MAX_WORDS + 1)))
    with pytest.raises(BadLine, match="8192"):
        tokenize("a" * (MAX_LINE + 1))


def test_words_are_those_of_a_real_shell() -> None:
    """Where a line is accepted, /bin/sh sees the same words; it never sees more than we do."""
    lines = [line for line in ACCEPTED if not line.startswith("find")]
    script = "\n".join(f"printf '%s\\0' {line}; printf 'END\\0'" for line in lines)
    output = subprocess.run(
        ["/bin/sh"], input=script.encode(), capture_output=True, check=True, env={"LC_ALL": "C.UTF-8"}
    )
    seen = output.stdout.decode().split("END\0")
    assert [tuple(words.split("\0")[:-1]) for words in seen[:-1]] == [ACCEPTED[line] for line in lines]


def outcome(line: str) -> tuple[tuple[str, ...], BadLine | None]:
    try:
        return tokenize(line), None
    except BadLine as refusal:
        return (), refusal


MEANINGFUL = st.text(st.sampled_from("ab'\" \\$`|;~#=!*{}()<>&[]?^%-/,.:@\t\n\u200b“—你"), max_size=24)


@given(st.one_of(MEANINGFUL, st.text(max_size=24)))
@settings(max_examples=600, deadline=None)
def test_accepted_line_splits_as_shlex_does(line: str) -> None:
    """The independent POSIX splitter agrees on every accepted line, and every word of it can be shown."""
    words, refusal = outcome(line)
    if refusal is None:
        assert list(words) == shlex.split(line)
        assert all(is_printable_text(word) for word in words)
    else:
        assert 0 <= refusal.position <= len(line)
        assert is_printable_text(str(refusal))


@given(st.lists(st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E)), min_size=1, max_size=8))
@settings(max_examples=200, deadline=None)
def test_quoted_words_come_back(words: list[str]) -> None:
    """Any visible words can be said, once they are quoted."""
    assert list(tokenize("echo " + shlex.join(words))) == ["echo", *words]
