"""A rule that asks, narrowed to what people said yes to: then it may allow. Pure.

The narrowed rule is the rule itself with fewer sub-commands, options and values, so it lets nothing through that the
rule does not; what the rule inserts, sets and has the machine look at stays.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import prod
from typing import Any

from common.policy.check import Policy, Verdict, check
from common.policy.match import RuleReading, read_rule
from common.policy.real_names import plain_names
from common.policy.rules import NUMERIC_OPTION, Option, Rule
from common.policy.runs_anything import NAMES
from common.roles import ROLES
from hub.core.learning.proposal import Evidence, Group, PolicyText, Proposal, Terms, build_proposal, people_words
from hub.core.learning.values import NotLearned, exact_type


def read_asked(policy: Policy, verdict: Verdict, row: Evidence) -> RuleReading:
    rule = next(rule for rule in policy.rules if rule.id == verdict.rule)
    reading = read_rule(rule, verdict.argv, row.cwd)
    if reading is None or verdict.env != rule.env:
        raise NotLearned("it sets variables of its own")
    if row.cwd or any(option in rule.program.global_options for option, _ in reading.options):
        raise NotLearned("it ran in a folder, which no rule can name")
    return reading


def shape_of(reading: RuleReading) -> tuple[object, ...]:
    options = sorted((option.spellings[0], value is not None) for option, value in reading.options)
    return reading.words, tuple(options), tuple(map(len, reading.arguments)), tuple(map(len, reading.rest))


def _places(reading: RuleReading) -> list[str | None]:
    """The values of a reading, place by place: the same places in every reading of one shape."""
    options = sorted(reading.options, key=lambda one: (one[0].spellings[0], one[1] is not None))
    return [*(value for _, value in options), *(word for slot in (*reading.arguments, *reading.rest) for word in slot)]


def exact_groups(rule: Rule, group: Group, terms: Terms) -> Iterator[Group]:
    """What enough different people said yes to, command by command and machine by machine. Where these are all that
    their values and machines can make they are one group, since a rule with what was seen lets exactly them through;
    else each command is a group by itself. What too few said yes to is in none: it does not ride along.
    """
    rejected = group.requests_with("rejected")
    if rejected:
        raise NotLearned(f"rule {rule.id} asks, and people refused it {len(rejected)} times")
    if rule.critical or rule.second_factor or rule.approvers > 1 or rule.run_as or rule.script:
        raise NotLearned(f"rule {rule.id} wants more than one plain yes, or runs a script or as root")
    if not plain_names(rule.program.path).isdisjoint(NAMES):
        raise NotLearned("its program runs whatever it is told")
    by_vector = dict[tuple[tuple[str, ...], str], Group]()
    for row, argv in group.rows:
        if row.outcome == "approved":
            by_vector.setdefault((argv, row.agent), Group()).rows.append((row, argv))
    by_vector = {key: one for key, one in by_vector.items() if len(one.approvers) >= terms.people}
    if not by_vector:
        enough = f"each command needs {terms.people} people other than who asked for it"
        raise NotLearned(f"rule {rule.id} asks: said yes to by {people_words(group.approvers)}; {enough}")
    readings = {argv: reading for argv, _ in by_vector if (reading := read_rule(rule, argv)) is not None}
    places = zip(*([*_places(readings[argv]), agent] for argv, agent in by_vector), strict=True)
    if prod(len(set(values)) for values in places) == len(by_vector):
        yield Group([row for one in by_vector.values() for row in one.rows])
        return
    for argv in readings:
        yield Group([row for (one, _), each in by_vector.items() if one == argv for row in each.rows])


def narrow_rule(text: PolicyText, rule: Rule, group: Group, terms: Terms, read_only: Policy) -> Proposal:
    """The rule that allows what a group of `exact_groups` holds."""
    if len(group.requests) < terms.asked:
        raise NotLearned(f"rule {rule.id} asks: {len(group.requests)} approvals; {terms.asked} are needed")
    vectors = {argv: row for row, argv in group.rows}
    if rule.id not in terms.reads and not all(_only_reads(read_only, argv, row) for argv, row in vectors.items()):
        raise NotLearned(f"nobody says that it only reads (--reads {rule.id} does, of all that the rule lets through)")
    table = dict(text.rules[rule.id])
    for key in ("approvers", "second_factor", "own_approval", "critical", "short", "verdict"):
        table.pop(key, None)
    table = {"id": "", "about": table.pop("about"), "program": table.pop("program"), "verdict": "allow", **table}
    table |= _narrowed(rule, [read_rule(rule, argv, row.cwd) for argv, row in vectors.items()])
    return build_proposal(table, group, group.approvers, rule.id)


def _only_reads(read_only: Policy, argv: tuple[str, ...], row: Evidence) -> bool:
    verdict = check(read_only, argv, roles=ROLES, agent=row.agent, labels={}, cwd=row.cwd)
    return verdict.kind == "allow" and verdict.argv == argv


def _narrowed(rule: Rule, readings: Sequence[RuleReading | None]) -> dict[str, Any]:
    """The keys of a rule that lets through what was read, of one shape, and nothing else."""
    seen = [reading for reading in readings if reading is not None]
    first = seen[0]
    flags, options = list[str](), dict[str, Any]()
    given = {option.spellings[0]: option for option, _ in first.options}
    for name, option in given.items():
        values = [value for reading in seen for one, value in reading.options if one.spellings[0] == name]
        if option.value is None or not any(value is not None for value in values):
            if option.value is not None and option.when == "required":
                raise NotLearned("an option without its value")
            flags.append(" ".join(option.spellings))
        else:
            if any(value is None for value in values):
                raise NotLearned("an option with a value and without")
            options[" ".join(option.spellings)] = _option_type(option, [value for value in values if value])
    found: dict[str, Any] = {"words": list(first.words), "flags": flags, "options": options}
    found["required"] = [option.spellings[0] for option in given.values()]
    exclusive = [[name for name in given if name in choice] for choice in rule.exclusive]
    found["exclusive"] = [" ".join(names) for names in exclusive if names]
    for key, slots, of in (("arguments", rule.arguments, "arguments"), ("rest", rule.rest, "rest")):
        found[key] = [
            {"name": slot.name, **exact_type(words, slot.type), "min": count, "max": count}
            for index, slot in enumerate(slots)
            if (count := len(getattr(first, of)[index]))
            and (words := [word for reading in seen for word in getattr(reading, of)[index]])
        ]
    return found


def _option_type(option: Option, values: Sequence[str]) -> dict[str, Any]:
    if option.spellings == (NUMERIC_OPTION,):
        if len(set(values)) > 1:
            raise NotLearned("several numbers that are options")
        return {"type": "integer", "minimum": int(values[0]), "maximum": int(values[0])}
    kind = exact_type(values, option.value)
    return kind if option.when == "required" else {**kind, "when": option.when}
