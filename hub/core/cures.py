"""What to send instead of a command that is refused. Pure.

Every refusal of a command has its cure: the same command without what cannot be done here, or another that does the
same within bounds. A cure is offered and never run; it is offered only where policy does not deny it, and it is never
stronger than what was asked: a part of it, or something that only reads.

    grammar refused the line     `cure_line`: what is no filter behind `|`, `;` and `&&`, redirection, several lines,
                                 patterns of file names
    policy refused the vector    `cure_argv`: sudo, `tail -f` and its kind, pagers and editors, shells, old names

To teach a new one: a pipe is a row of `_PIPES`, a program a row of `_PROGRAMS`. Both give candidates, the best first.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from common.catalogue import Sentence
from common.command.grammar import BadLine, tokenize
from common.command.line import parse_command, quote_command
from common.command.output_filters import BadFilter, FilterWords

Argv = tuple[str, ...]
Command = tuple[Argv, tuple[FilterWords, ...]]
Allows = Callable[[Argv], bool]
"""Whether policy does not deny a command, for this person on these machines."""

MAX_LINE: Final = 2_000
MAX_SHOWN: Final = 200
FOLLOW_LINES: Final = "100"

# ---- lines that the grammar refuses

_REDIRECTION: Final = re.compile(r"\s*(?:[0-9]|&)?>{1,2}(?:&[0-9-]|\s*[^\s|;&<>]+)?")
_OWN_PATTERNS: Final = frozenset(
    {
        "find",
        "grep",
        "egrep",
        "systemctl",
        "journalctl",
        "apt",
        "apt-cache",
        "dpkg",
        "dpkg-query",
        "rpm",
        "dnf",
        "pgrep",
    }
)
"""Programs that read patterns themselves; to the others a pattern in quotes is the name of a file."""
_AND_THEN: Final = re.compile(r"\s*(?:&&|\|\||;)\s*")


def cure_line(line: str, error: BadLine | BadFilter, target: str, allows: Allows) -> Sentence | None:
    """The cure for a line that is no command by the grammar; `target` is the machines as written, with `@`."""
    if len(line) > MAX_LINE:
        return None
    if isinstance(error, BadFilter):
        at = _first_pipe(line)
        return _pipe(line[:at], line[at + 1 :], target, allows)
    head, rest = line[: error.position], line[error.position + 1 :]
    match error.character:
        case "$" | "#" if rest.startswith(" ") and not head.strip():
            return _offer("cure_prompt", target, (rest,), allows)
        case "\n" | "\r":
            return _first_line(line, target, allows)
        case "|" if not (rest.startswith("|") or head.endswith("|")):
            return _pipe(head.rstrip("| "), rest, target, allows)
        case ";" | "|":
            return _one_by_one(line, target, allows)
        case "&" if rest.startswith("&"):
            return _one_by_one(line, target, allows)
        case "&" if rest.startswith(">"):
            return _redirected(line, target, allows)
        case "&" if not rest.strip():
            return _offer("cure_background", target, (head,), allows)
        case ">" | "<":
            return _redirected(line, target, allows)
        case "*" | "?" | "[":
            return _pattern(line, error.position, target, allows)
    return None


def _first_line(line: str, target: str, allows: Allows) -> Sentence | None:
    lines = [one.strip() for one in re.split(r"[\r\n]+", line) if one.strip()]
    first = lines[0] if lines else ""
    told = re.match(r"[@＠]\S+\s+(.*)", first)
    found = _offer("cure_lines", target, (told[1] if told else first,), allows)
    return None if found is None else Sentence(found.key, {**found.values, "count": len(lines)})


def _one_by_one(line: str, target: str, allows: Allows) -> Sentence | None:
    parts = [part for part in _AND_THEN.split(line) if part.strip()]
    commands = [command for part in parts[:4] if (command := _command(part)) is not None]
    if len(commands) != len(parts) or not all(allows(argv) for argv, _ in commands):
        return _offer("cure_first", target, parts[:1], allows)
    phrases = "; ".join(_phrase(target, *command) for command in commands)
    return Sentence("cure_one_by_one", {"phrases": phrases[:MAX_SHOWN]})


def _redirected(line: str, target: str, allows: Allows) -> Sentence | None:
    return _offer("cure_redirect", target, (_REDIRECTION.sub("", line), line.partition(">")[0]), allows)


def _pattern(line: str, position: int, target: str, allows: Allows) -> Sentence | None:
    start = line.rfind(" ", 0, position) + 1
    end = line.find(" ", position)
    word = line[start:] if end < 0 else line[start:end]
    quoted = line[:start] + shlex.quote(word) + ("" if end < 0 else line[end:])
    folder = word[: word.rfind("/", 0, position - start) + 1] or "."
    argv = _vector(quoted)
    if argv is not None and argv[0].rpartition("/")[2] in _OWN_PATTERNS and allows(argv):
        return Sentence("cure_pattern", {"phrase": _phrase(target, argv)})
    return _offer("cure_list", target, (f"ls {folder}", f"ls -l {folder}"), allows)


# ---- pipes

_Pipe = Callable[[Argv, Argv], Argv | None]


def _grep_file(head: Argv, tail: Argv) -> Argv | None:
    """`cat FILE | grep WORD` is `grep WORD FILE`."""
    return (*tail, *head[1:]) if head[0] == "cat" and len(head) > 1 else None


def _grep_processes(head: Argv, tail: Argv) -> Argv | None:
    """`ps aux | grep NAME` is `pgrep -a NAME`."""
    words = [word for word in tail[1:] if not word.startswith("-")]
    return ("pgrep", "-a", words[0]) if head[0] == "ps" and len(words) == 1 else None


def _grep_journal(head: Argv, tail: Argv) -> Argv | None:
    words = [word for word in tail[1:] if not word.startswith("-")]
    return (*head, "-g", words[0]) if head[0] == "journalctl" and len(words) == 1 else None


def _last_of_journal(head: Argv, tail: Argv) -> Argv | None:
    count = next((word.lstrip("-n") for word in tail[1:] if word.lstrip("-n").isdigit()), "10")
    return (*head, "-n", count) if head[0] == "journalctl" and "-n" not in head else None


_PIPES: Final[dict[str, tuple[_Pipe, ...]]] = {
    "grep": (_grep_file, _grep_processes, _grep_journal),
    "egrep": (_grep_processes, _grep_journal),
    "head": (_grep_file,),
    "tail": (_grep_file, _last_of_journal),
    "wc": (_grep_file,),
    "sort": (_grep_file,),
    "uniq": (_grep_file,),
}
"""What stands behind the first `|` and is no filter as it is written -> ways to do it in one command. Behind all of
them stands the first part alone.
"""


def _pipe(head: str, rest: str, target: str, allows: Allows) -> Sentence | None:
    first, second = _vector(head), _vector(re.split(r"[|;&<>]", rest)[0])
    if first is None:
        return None
    if second is not None and "|" not in rest:
        for way in _PIPES.get(second[0], ()):
            argv = way(first, second)
            if argv is not None and allows(argv):
                return Sentence("cure_pipe", {"phrase": _phrase(target, argv)})
    return Sentence("cure_pipe_first", {"phrase": _phrase(target, first)}) if allows(first) else None


# ---- vectors that policy refuses


def cure_argv(argv: Argv, target: str, allows: Allows, filters: Sequence[FilterWords] = ()) -> Sentence | None:
    """The cure for a command that policy denies; `target` is the machines as one writes them, with `@`, and `filters`
    what stands behind it.
    """
    program = argv[0].rpartition("/")[2].lower()
    for key, candidate in _as_meant(argv):
        if candidate and allows(candidate):
            return Sentence(key, {"phrase": _phrase(target, candidate, filters), "sign": argv[-1][-1:]})
    for key, rewrite in _PROGRAMS.get(program, ()):
        for candidate in rewrite(argv):
            if candidate and candidate != argv and allows(candidate):
                return Sentence(key, {"phrase": _phrase(target, candidate, filters), "program": program})
    return Sentence(_ADVICE[program], {"program": program}) if program in _ADVICE else None


_LAST_SIGNS: Final = ".,;:!?。，、；：！？"


def _as_meant(argv: Argv) -> Iterator[tuple[str, Argv | None]]:
    """The same words as they were probably meant: a whole line in quotation marks, a sentence's last sign, capitals."""
    if len(argv) == 1 and " " in argv[0]:
        yield "cure_quotes", _vector(argv[0])
    last = argv[-1].rstrip(_LAST_SIGNS)
    if last and last != argv[-1]:
        yield "cure_last_sign", (*argv[:-1], last)
    if argv[0] != argv[0].lower():
        yield "cure_capitals", (argv[0].lower(), *argv[1:])


def _without(argv: Sequence[str], letters: str, *words: str) -> Argv:
    """`argv` without the options of these letters and words."""
    kept: list[str] = []
    for word in argv[1:]:
        if word in words or any(word.startswith(f"{one}=") for one in words):
            continue
        if word.startswith("-") and not word.startswith("--") and word[1:].isalpha():
            rest = "".join(letter for letter in word[1:] if letter not in letters)
            if rest:
                kept.append(f"-{rest}")
            continue
        kept.append(word)
    return (argv[0], *kept)


def _tail(argv: Argv) -> Iterator[Argv]:
    once = _without(argv, "fF", "--follow", "--retry")
    files = [word for word in once[1:] if not word.startswith("-") and not word.isdigit()]
    if once[1:] == tuple(files):
        yield ("tail", "-n", FOLLOW_LINES, *files)
    yield once
    yield ("tail", "-n", FOLLOW_LINES, *files)


def _journal(argv: Argv) -> Iterator[Argv]:
    once = _without(argv, "fe", "--follow", "--pager-end")
    if not any(word.startswith(("-n", "--lines")) for word in once):
        yield (*once, "-n", FOLLOW_LINES)
    yield once


def _container_logs(argv: Argv) -> Iterator[Argv]:
    once = _without(argv, "f", "--follow")
    if not any(word.startswith("--tail") for word in once) and len(once) > 2:
        yield (*once[:2], "--tail", FOLLOW_LINES, *once[2:])
    yield once


def _page(argv: Argv) -> Iterator[Argv]:
    files = [word for word in argv[1:] if not word.startswith(("-", "+"))]
    if files:
        yield ("cat", *files)
        yield ("tail", "-n", FOLLOW_LINES, *files)


def _inner(argv: Argv) -> Iterator[Argv]:
    """The command within `sudo -u root CMD`, `watch -n 2 CMD`, `nohup CMD`, `time CMD`, `bash -c 'CMD'`."""
    words = list(argv[1:])
    while words and words[0].startswith("-"):
        option = words.pop(0)
        if option == "-c" and len(words) == 1:
            inner = _vector(words[0])
            if inner is not None:
                yield inner
            return
        if option in ("-u", "-g", "-n", "-h", "-p", "-C", "--interval", "--user") and words:
            words.pop(0)
    if words and words[0].replace(".", "").rstrip("smh").isdigit():
        words.pop(0)  # timeout 10 CMD
    if words:
        yield tuple(words)


def _bounded(*more: str) -> Callable[[Argv], Iterator[Argv]]:
    def rewrite(argv: Argv) -> Iterator[Argv]:
        yield (argv[0], *more, *argv[1:])
        yield (*argv, *more)

    return rewrite


def _instead(*vectors: Argv) -> Callable[[Argv], Iterator[Argv]]:
    def rewrite(argv: Argv) -> Iterator[Argv]:
        operands = [word for word in argv[1:] if not word.startswith("-")]
        for vector in vectors:
            yield (*vector, *operands)
            yield vector

    return rewrite


def _service(argv: Argv) -> Iterator[Argv]:
    if len(argv) == 3:
        yield ("systemctl", argv[2], argv[1])


_Rows = tuple[tuple[str, Callable[[Argv], Iterator[Argv]]], ...]
_PROGRAMS: Final[dict[str, _Rows]] = {
    **dict.fromkeys(("sudo", "doas", "su"), (("cure_sudo", _inner),)),
    **dict.fromkeys(("bash", "sh", "zsh", "dash"), (("cure_shell", _inner),)),
    **dict.fromkeys(("nohup", "time", "nice", "env", "timeout", "stdbuf", "unbuffer"), (("cure_wrapper", _inner),)),
    "watch": (("cure_follow", _inner),),
    "tail": (("cure_follow", _tail),),
    "journalctl": (("cure_follow", _journal),),
    "dmesg": (("cure_follow", lambda argv: iter((_without(argv, "wW", "--follow", "--follow-new"),))),),
    **dict.fromkeys(("docker", "podman", "kubectl"), (("cure_follow", _container_logs),)),
    **dict.fromkeys(("less", "more", "most", "view"), (("cure_pager", _page),)),
    **dict.fromkeys(("vi", "vim", "nano", "emacs", "ed"), (("cure_editor", _page),)),
    **dict.fromkeys(("top", "htop", "atop", "btop", "glances"), (("cure_follow", _instead(("top", "-b", "-n", "1"))),)),
    "ping": (("cure_follow", _bounded("-c", "4")),),
    **dict.fromkeys(("vmstat", "iostat", "mpstat"), (("cure_follow", _bounded("5")),)),
    **dict.fromkeys(("ll", "la", "l", "dir"), (("cure_name", _instead(("ls", "-la"), ("ls", "-l"))),)),
    **dict.fromkeys(("ifconfig", "ipconfig"), (("cure_name", _instead(("ip", "addr"), ("ip", "address"))),)),
    "netstat": (("cure_name", lambda argv: iter((("ss", *argv[1:]), ("ss", "-tulpn"), ("ss", "-tln")))),),
    "service": (("cure_name", _service),),
}
"""Program -> sentence, and how the command is written instead."""
_ADVICE: Final = {
    **dict.fromkeys(("sudo", "doas", "su"), "cure_sudo_plain"),
    **dict.fromkeys(("bash", "sh", "zsh", "dash"), "cure_shell_plain"),
    **dict.fromkeys(("vi", "vim", "nano", "emacs", "ed"), "cure_editor_plain"),
}
"""What is said where nothing else can be offered."""


# ---- words


def _offer(key: str, target: str, lines: Sequence[str], allows: Allows) -> Sentence | None:
    for line in lines:
        command = _command(line)
        if command is not None and allows(command[0]):
            return Sentence(key, {"phrase": _phrase(target, *command)})
    return None


def _vector(line: str) -> Argv | None:
    try:
        return tokenize(line.strip())
    except BadLine:
        return None


def _command(line: str) -> Command | None:
    try:
        return parse_command(line.strip())
    except (BadLine, BadFilter):
        return None


def _first_pipe(line: str) -> int:
    """Where the first unquoted `|` stands."""
    try:
        tokenize(line)
    except BadLine as error:
        return error.position
    return len(line)


def _phrase(target: str, argv: Argv, filters: Sequence[FilterWords] = ()) -> str:
    phrase = f"{target} {quote_command(argv, filters)}"
    return phrase if len(phrase) <= MAX_SHOWN else phrase[: MAX_SHOWN - 1] + "…"
