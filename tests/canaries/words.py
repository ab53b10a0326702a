"""Argument vectors from a rule's own grammar: options in all spellings, values of every type, odd paths, conflicts.

Everything is drawn from one `random.Random`, so that a seed is a run. What is made fits the grammar mostly, and is odd
on purpose: the policy says afterwards what of it may run.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from re import _constants as sre  # type: ignore[attr-defined]
from re import _parser  # type: ignore[attr-defined]
from typing import Any

from common.policy.rules import NUMERIC_OPTION, Argument, Option, Rule
from common.policy.types import (
    ChoiceType,
    IntegerType,
    ListType,
    NamedType,
    NumberType,
    PathType,
    PatternType,
    UnionType,
    ValueType,
)
from tests.canaries.world import REPOSITORY_PATHS

EXAMPLES: dict[str, tuple[str, ...]] = {
    "word": ("sshd", "root", "xe", "sleep", "auto", "LOG_INFO", "Environment", "all", "lo"),
    "text": (".", "", "e", "a*", "%p %l %u", "{{.}}", "name", "错误", "[", "(", "PRIVATE", "^", "=", "%(environ)s",
    "*.conf"),
    "host": ("localhost", "127.0.0.1", "::1", "web-1.example.org", "169.254.169.254"),
    "address": ("127.0.0.1", "::1", "192.0.2.1"),
    "network": ("127.0.0.0/8", "::1", "default"),
    "interface": ("lo", "eth0"),
    "unit": ("ssh.service", "app.service"),
    "unit-pattern": ("ssh.service", "app.service", "*", "app*"),
    "package": ("bash", "coreutils", "canary"),
    "package-pattern": ("bash", "canary", "cor*", "*"),
    "user": ("root", "alice", "xe", "0", "1001", "e"),
    "signal": ("HUP",),
    "port": ("53", "80"),
    "time": ("today", "-1h", "2026-01-02 03:04"),
    "duration": ("1", "0.1s"),
    "size": ("1", "K", "1M"),
    "revision": ("HEAD", "main", "HEAD~1", "tracked.txt", "keys/id_rsa", "HEAD..main", "sub", "linked/id_rsa", "@{u}"),
    "object": ("HEAD", "HEAD:tracked.txt", "main", "v1", "HEAD:keys/id_rsa"),
    "relative-path": (
        *("tracked.txt", "keys/id_rsa", ".ssh/id_rsa", ".", "linked/id_rsa", "sub", ".env", "app.bin", "id_rsa"),
        *("name with blanks.txt", "größe.txt", "-x".removeprefix("-"), "link", ".git/config"),
    ),
}  # fmt: skip
"""Words of the built-in types: ordinary ones, and those that could mean something else to a program."""

SMALL = 3
"""The largest number that is drawn for a count or an interval, where the grammar allows it: nothing takes long."""

LARGE = ("/", "/usr", "/usr/lib", "/usr/share", "/usr/bin")
"""Folders of this computer's own, which take long to walk through."""
BRIEF: dict[str, tuple[str, ...]] = {"SECONDS": ("1",), "COUNT": ("1", "2"), "DURATION": ("0.1", "0.2s", "0")}
"""Arguments, by their names, that say how long it takes."""


@dataclass(frozen=True)
class Words:
    """Draws words. `paths` are those that exist on the machine, `folders` the folders among them."""

    draw: random.Random
    paths: Sequence[str]
    folders: Sequence[str]
    pids: Sequence[int] = field(default=(1, 2, 3, 4, 5, 6))
    _inside: dict[int, list[str]] = field(default_factory=dict)  # paths by the type beneath whose roots they lie
    _fitting: dict[int, list[str]] = field(default_factory=dict)  # folders by the type that lets them through

    def of(self, kind: ValueType, cwd: str = "") -> str:
        draw = self.draw
        match kind:
            case NamedType(name=name):
                return draw.choice(EXAMPLES[name])
            case IntegerType(minimum=low, maximum=high):
                if high > 100_000 and low <= 2:
                    return str(draw.choice(self.pids))
                return str(draw.choice([low, min(low + 1, high), min(high, max(low, SMALL))]))
            case NumberType(minimum=low, maximum=high):
                return f"{draw.choice([low, min(high, low + 1)]):g}"
            case ChoiceType(choices=choices):
                return draw.choice(choices)
            case ListType(item_type=item):
                return ",".join(self.of(item, cwd) for _ in range(draw.choice((1, 1, 2, 3))))
            case UnionType(types=types):
                return self.of(draw.choice(types), cwd)
            case PatternType(pattern=pattern):
                return "".join(_sample(_parser.parse(pattern), draw))
            case PathType() as path:
                return self.path(path, cwd)
        raise AssertionError(kind)

    def path(self, kind: PathType, cwd: str) -> str:
        """A path of the machine, mostly beneath the type's roots; sometimes oddly written, sometimes anywhere."""
        draw = self.draw
        roots = [root for root in (*kind.beneath, *kind.exactly) if root not in LARGE] or ["/"]
        if draw.random() < 0.15:
            return draw.choice([*roots, draw.choice(self.paths)])
        if id(kind) not in self._inside:
            self._inside[id(kind)] = [
                path
                for path in self.paths
                if path not in LARGE and any(path == root or path.startswith(f"{root}/") for root in roots)
            ]
        found = draw.choice(self._inside[id(kind)] or roots)
        if cwd and found.startswith(f"{cwd}/") and draw.random() < 0.5:
            return found.removeprefix(f"{cwd}/")
        if draw.random() < 0.1:
            return found.replace("/", "//", 1) + draw.choice(("/", "/.", ""))
        return found

    def folder(self, kind: ValueType | None) -> str:
        """A directory for the step, that the type lets through; "" for none."""
        if kind is None or self.draw.random() < 0.4:
            return ""
        if id(kind) not in self._fitting:
            self._fitting[id(kind)] = [folder for folder in self.folders if _fits(kind, folder)]
        fitting = self._fitting[id(kind)]
        checkouts = [folder for folder in fitting if folder in REPOSITORY_PATHS]
        if checkouts and self.draw.random() < 0.7:
            return self.draw.choice(checkouts)
        return self.draw.choice(fitting) if fitting else ""

    def option(self, option: Option, cwd: str) -> list[str]:
        name = self.draw.choice(option.spellings)
        if option.value is None:
            return [name]
        value = self.of(option.value, cwd)
        if name == NUMERIC_OPTION:
            return [f"-{value.removeprefix('-')}"]
        glued = f"{name}={value}" if name.startswith("--") else name + value
        forms = {"glued": [[name], [glued]], "next": [[name], [glued], [name, value]]}
        return self.draw.choice(forms.get(option.when, [[glued], [name, value]]))

    def arguments(self, slots: Sequence[Argument], cwd: str) -> list[str]:
        found: list[str] = []
        for slot in slots:
            count = self.draw.randint(slot.minimum, min(slot.maximum, slot.minimum + 2))
            brief = BRIEF.get(slot.name)
            found += [self.draw.choice(brief) if brief else self.of(slot.type, cwd) for _ in range(count)]
        return found

    def vector(self, rule: Rule) -> tuple[tuple[str, ...], str]:
        """One argument vector that the rule may describe, and a directory."""
        draw = self.draw
        cwd = self.folder(rule.program.directory)
        argv = [draw.choice([*rule.program.names, rule.program.path])]
        for option in rule.program.global_options:
            if draw.random() < (0.9 if "-C" in option.spellings and not cwd else 0.15):
                argv += self.option(option, cwd)
        for word in rule.words:
            if not (word.optional and draw.random() < 0.3):
                argv.append(draw.choice([spelling for choice in word.choices for spelling in choice]))
        needed = {draw.choice(choice) for choice in rule.required}
        some = [one for one in rule.options if needed.intersection(one.spellings)]
        if rule.options:
            some += draw.choices(rule.options, k=draw.choice((0, 1, 1, 2, 2, 3, 4)))
        draw.shuffle(some)
        pieces = [self.option(one, cwd) for one in some]
        given = [[word] for word in self.arguments(rule.arguments, cwd)]
        pieces = [*pieces, *given] if draw.random() < 0.7 else [*given, *pieces]
        argv += [word for piece in pieces for word in piece]
        if rule.rest and draw.random() < 0.6:
            argv += ["--", *self.arguments(rule.rest, cwd)]
        return tuple(argv), cwd


def _fits(kind: ValueType, folder: str) -> bool:
    try:
        return kind.normalize(folder, "") == folder
    except ValueError:
        return False


def _sample(pattern: Any, draw: random.Random) -> Iterator[str]:
    """A word that a pattern of the policy's dialect matches; repetitions short."""
    for op, value in pattern:
        if op is sre.LITERAL:
            yield chr(value)
        elif op is sre.ANY:
            yield draw.choice("aeZ0 ._")
        elif op is sre.IN:
            yield draw.choice(_class(value))
        elif op is sre.BRANCH:
            yield from _sample(draw.choice(value[1]), draw)
        elif op is sre.SUBPATTERN:
            yield from _sample(value[-1], draw)
        elif op is sre.MAX_REPEAT:
            least, most, inner = value
            for _ in range(draw.randint(least, min(int(most), least + SMALL))):
                yield from _sample(inner, draw)
        else:
            raise AssertionError(op)


def _class(items: Sequence[Any]) -> list[str]:
    found: set[str] = set()
    negated = any(op is sre.NEGATE for op, _ in items)
    for op, value in items:
        if op is sre.LITERAL:
            found.add(chr(value))
        elif op is sre.RANGE:
            found.update(chr(code) for code in range(value[0], value[1] + 1))
        elif op is sre.CATEGORY:
            found.update("0123456789" if value is sre.CATEGORY_DIGIT else "aeZ_0")
    return sorted({chr(code) for code in range(32, 127)} - found if negated else found)
