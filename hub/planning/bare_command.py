"""Commands as people write them without `@` in front. Pure.

    web-1 df -h        web-1: df -h         df -h on web-1       df -h @web-1       `df -h` on web-1
    run df -h on web-1      on web-1 run df -h       在 web-1 上执行 df -h        执行 df -h 在 web-1
    root@web-1:~# df -h     df -h on all machines    df -h  (is asked: on which machine?)

Precision first: the machines must exist, the whole message must be of one of these forms, and policy decides what is
sure. With a verb ("run"), code marks or an `@` the sender says that it is a command, and it is planned like one with
`@` in front, where policy has a rule for its program. Without them it is planned only where policy allows it at once
for this person; what needs a person's approval is offered, `@web-1 systemctl restart nginx`. What policy refuses gets
its refusal, with the cure, where it can be nothing but a command: `rm -rf /tmp/x on web-1`. Everything else is left to
the next planner. A question is offered too, unless courtesy makes it a request ("can you run ...?").
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from common.catalogue import Sentence
from common.command.grammar import BadLine
from common.command.line import parse_command, quote_command
from common.command.output_filters import BadFilter, FilterWords
from common.plan import BadPlan, Plan, Step
from hub.core.inventory import NoTarget, resolve, sample_machine
from hub.core.outcome import CannotPlan, Planned, PlanningContext, PlanningOutcome
from hub.planning.chat_words import COURTESY, END, is_question
from hub.planning.runbooks.matcher import is_name_of_machine
from hub.planning.runbooks.tokens import fold_width, word_set

MAX_LENGTH: Final = 1_000
MAX_COMPARED: Final = 8  # machines that policy is asked about before the plan is judged as a whole

_PART: Final = r"[A-Za-z0-9][A-Za-z0-9._*?=-]{0,127}"
_ALL: Final = (
    r"all\s(?:of\s)?(?:the\s|my\s|our\s)?(?:machines|servers|hosts)|(?:every|each)\s(?:machine|server|host)"
    r"|(?:所有|全部|每台)的?(?:机器|服务器|主机)"
)
_WHERE: Final = rf"(?P<where>{_ALL}|@?{_PART}(?:\s{{0,2}}(?:,|\s(?:and|und)\s|[和与及、])\s{{0,2}}@?{_PART}){{0,40}})"
_CODE: Final = r"(?:`(?P<code>[^`\n]{1,900})`|(?P<line>\S.{0,900}?))"
_RUN_EN: Final = r"(?:run|execute|exec|do|try)"
_RUN_ZH: Final = r"(?:执行|运行|運行|跑一下|跑|查一下|看一下)"
_MACHINE_EN: Final = r"(?:(?:the\s)?(?:machine|server|host)\s)?"
_FORMS: Final = tuple(
    re.compile(form, re.IGNORECASE | re.DOTALL)
    for form in (
        rf"(?P<verb>{_RUN_EN})\s+{_CODE}\s+(?:on|at|in)\s+{_MACHINE_EN}{_WHERE}",
        rf"(?:on|ssh)\s+{_MACHINE_EN}{_WHERE}\s{{0,2}}[,:]?\s+(?P<verb>{_RUN_EN})\s{{0,2}}:?\s+{_CODE}",
        rf"(?P<verb>ssh)\s+{_WHERE}\s+{_CODE}",
        rf"(?:在|到)\s{{0,2}}{_WHERE}\s{{0,2}}(?:上面|上|里)?\s{{0,2}}(?P<verb>{_RUN_ZH})\s{{0,2}}:?\s{{0,2}}{_CODE}",
        rf"{_WHERE}\s{{0,2}}(?:上面|上|里)\s{{0,2}}(?P<verb>{_RUN_ZH})\s{{0,2}}:?\s{{0,2}}{_CODE}",
        rf"(?:在|到)\s{{0,2}}{_WHERE}\s{{0,2}}(?:上面|上|里)\s{{0,2}}[,:]?\s{{0,2}}{_CODE}",
        rf"(?P<verb>{_RUN_ZH})\s{{0,2}}:?\s{{0,2}}{_CODE}\s{{0,2}}(?:在|于|@)\s{{0,2}}{_WHERE}\s{{0,2}}(?:上面|上|里)?",
        rf"\[?[a-z_][\w-]{{0,31}}@{_WHERE}(?:[:\s][^\s\]]{{0,200}})?\]?\s{{0,2}}[$#%]\s+{_CODE}",
        rf"{_CODE}\s+(?P<verb>(?=@)){_WHERE}",
        rf"{_CODE}\s+on\s+{_MACHINE_EN}{_WHERE}",
        rf"on\s+{_MACHINE_EN}{_WHERE}\s{{0,2}}[,:]?\s+{_CODE}",
        rf"{_WHERE}\s{{0,2}}(?P<verb>:)\s{{0,2}}{_CODE}",
        rf"{_WHERE}\s+{_CODE}",
    )
)
_EVERY: Final = re.compile(_ALL, re.IGNORECASE)
_VERB: Final = re.compile(rf"(?:{_RUN_EN}\s+|{_RUN_ZH}\s{{0,2}}:?\s{{0,2}})(?:the\scommand\s+)?", re.IGNORECASE)
_ENGLISH: Final = word_set(
    "apply at cat cut date dig echo file find free groups head host id ip join kill last less links list"
    " locate look mail man more mount nice nohup paste ping route screen script service size sort split stat"
    " status strings sum tail test time top touch type uptime users version w watch who which write yes"
    " history show get make"
)
"""Programs that are words of the language too: "last error of nginx on web-1" is no call of `last`."""
_PROGRAMS: Final = word_set(
    "apk apt apt-get awk bash cfdisk chattr chgrp chmod chown chroot cp crontab curl dash dd dnf docker doas dpkg emacs"
    " fdisk fish git gunzip gzip helm htop ifconfig insmod iptables kill killall ksh kubectl lua mkdir mkfs modprobe"
    " mongosh mv mysql nano nc ncat nft nmap node npm pacman parted passwd perl php pip pip3 pkill podman psql python"
    " python3 redis-cli rm rmdir rmmod rpm rsync ruby scp sed sftp sh shred snap sqlite3 ssh su sudo swapoff swapon"
    " sysctl tar tee telnet truncate ufw umount unzip useradd userdel usermod vi vim visudo wget xargs yum zip zsh"
)
"""Programs that people know, also where policy has no rule for them: their names are no words of the language."""
_LINKS: Final = word_set("a at for from in is of the to with under")
"""Words between others: "grep errors in /var/log/syslog on web-1" is no call of `grep`."""
_PROGRAM_PATH: Final = re.compile(r"/(?:[\w.+-]+/){0,8}(?:bin|sbin)/[\w.+-]+")
_REQUESTING: Final = re.compile(r"(?:please|pls|can|could|would)\b|请|麻烦|帮|能不能|可以", re.IGNORECASE)
_JOINT: Final = re.compile(r"\s*(?:,|\s(?:and|und)\s|[和与及、])\s*")


@dataclass(frozen=True, slots=True)
class _Reading:
    """One way to read the message: these words on these machines."""

    argv: tuple[str, ...]
    filters: tuple[FilterWords, ...]
    targets: tuple[str, ...]
    sure: bool  # the sender says that it is a command
    where: str  # the machines as written
    machine_first: bool  # "web-1 cat /x", which is nothing else; "last -x on web-1" may be a report

    @property
    def is_command(self) -> bool:
        """Whether the words of a program that policy has rules for can be nothing else."""
        begins = ("-", "/") if self.machine_first else ("/",)
        return any(word.startswith(begins) for word in self.argv[1:])

    @property
    def step(self) -> Step:
        return Step(self.argv, self.targets, filters=self.filters)


class BareCommandPlanner:
    """The planner of commands without `@`; asked after the runbooks have not planned the message."""

    def plan(self, context: PlanningContext) -> PlanningOutcome | None:
        check = context.check
        if check is None or len(context.text) > MAX_LENGTH:
            return None
        offered: dict[object, _Reading] = {}
        planned: dict[object, _Reading] = {}
        refused: dict[object, _Reading] = {}
        unknown: CannotPlan | None = None
        for reading in _readings(context):
            if isinstance(reading, Sentence):
                unknown = unknown or CannotPlan(reading, "target")
                continue
            try:
                step = reading.step
            except BadPlan:
                continue
            verdicts = [check(step, target) for target in reading.targets[:MAX_COMPARED]]
            known = all(not _is_unknown_program(verdict.reason) for verdict in verdicts)
            allowed = all(verdict.kind == "allow" for verdict in verdicts)
            denied = any(verdict.kind == "deny" for verdict in verdicts)
            key = (reading.argv, reading.filters, reading.targets)
            if not reading.sure and _may_be_prose(reading.argv):
                continue
            if known and (reading.sure or allowed):
                planned.setdefault(key, reading)
            elif not denied:
                offered.setdefault(key, reading)
            elif not _LINKS & {*reading.argv} and ((known and reading.is_command) or _is_known_command(reading.argv)):
                refused.setdefault(key, reading)
        body = context.text.strip()
        asks = is_question(fold_width(body)) and not _REQUESTING.match(body)
        if len(planned) == 1 and not asks:
            (reading,) = planned.values()
            return Planned(Plan((reading.step,)))
        if len(refused) == 1 and not planned and not offered:
            (reading,) = refused.values()
            return Planned(Plan((reading.step,)))  # nothing runs: policy says why, and what would do
        return _offer([*planned.values(), *offered.values()]) or unknown or _ask_machine(context)


def _ask_machine(context: PlanningContext) -> CannotPlan | None:
    """ "on which machine?" for a command that policy knows and that names none; the answer completes it."""
    text, machine = context.text.strip(), sample_machine(context.inventory)
    folded = fold_width(text)  # the same length
    begin = start.end() if (start := COURTESY.match(folded)) else 0
    verb = _VERB.match(folded, begin)
    line = text[verb.end() if verb else begin :].strip("` \u3000")
    if not machine or context.check is None or is_question(folded):
        return None
    try:
        argv, filters = parse_command(line)
        verdict = context.check(Step(argv, (machine,), filters=filters), machine)
    except (BadLine, BadFilter, BadPlan):
        return None
    if verdict.kind == "deny" or _may_be_prose(argv):
        return None
    return CannotPlan(
        Sentence("runbook_which_machine", {"phrase": f"@{machine} {quote_command(argv, filters)}"}), "machine"
    )


def _offer(readings: list[_Reading]) -> CannotPlan | None:
    """What may be meant, as commands to send; nothing runs."""
    phrases = dict.fromkeys(f"@{one.where} {quote_command(one.argv, one.filters)}" for one in readings[:3])
    if not phrases:
        return None
    if len(phrases) == 1:
        (phrase,) = phrases
        return CannotPlan(Sentence("runbook_meant", {"phrase": phrase}), "near", meant=phrase)
    return CannotPlan(Sentence("runbook_choice", {"choices": " / ".join(phrases)}), "ambiguous")


def _readings(context: PlanningContext) -> Iterator[_Reading | Sentence]:
    """Every way to read the message; a sentence where its machines are not there."""
    text = context.text.strip()
    folded = fold_width(text)  # the same length: what is matched there is cut out of the original
    start = COURTESY.match(folded)
    begin = start.end() if start else 0
    body = folded[begin:].rstrip("?？ ")
    ended = END.search(body[-80:])
    end = begin + len(body) - (len(body[-80:]) - ended.start() if ended else 0)
    for first, last in dict.fromkeys(((begin, end), (begin, begin + len(body)))):
        for form in _FORMS:
            found = form.fullmatch(folded, first, last)
            if found is not None and (reading := _reading(found, text, context)) is not None:
                yield reading
                break


def _reading(found: re.Match[str], text: str, context: PlanningContext) -> _Reading | Sentence | None:
    groups = found.groupdict()
    if _EVERY.fullmatch(found["where"]):
        where = "*"
    elif (where := ",".join(part.lstrip("@") for part in _JOINT.split(found["where"]))) == "*" and "@" not in found[
        "where"
    ]:
        return None
    try:
        targets = resolve(where, context.inventory)
    except NoTarget as error:
        unknown = groups.get("verb") is not None and any(is_name_of_machine(one) for one in where.split(","))
        return error.sentence if unknown else None
    part = "code" if groups.get("code") is not None else "line"
    line = text[found.start(part) : found.end(part)]
    try:
        argv, filters = parse_command(line.strip(" \u3000"))
    except (BadLine, BadFilter):
        return None
    sure = part == "code" or groups.get("verb") is not None or "@" in found["where"]
    if context.check is not None and found.start(part) == len(text) - len(text.lstrip()):
        argv = _without_capital(argv, targets[0], context)
    return _Reading(argv, filters, targets, sure, where, found.start("where") < found.start(part))


def _without_capital(argv: tuple[str, ...], target: str, context: PlanningContext) -> tuple[str, ...]:
    """`Df` as the first word of a message is `df`: telephones begin with a capital."""
    lower = argv[0][:1].lower() + argv[0][1:]
    if context.check is None or lower == argv[0] or not argv[0][1:].islower():
        return argv
    as_written = context.check(Step(argv, (target,)), target)
    return (lower, *argv[1:]) if _is_unknown_program(as_written.reason) else argv


def _may_be_prose(argv: tuple[str, ...]) -> bool:
    """Whether the words may as well be a sentence about something else."""
    return argv[0].casefold() in _ENGLISH and any(word.isalpha() for word in argv[1:])


def _is_known_command(argv: tuple[str, ...]) -> bool:
    """Whether it is a call of a program, whatever policy knows of it: `rm -rf /tmp/x`, `/usr/bin/foo`, `bash`."""
    name, at_path = argv[0].rpartition("/")[2].casefold(), argv[0].startswith("/")
    if at_path:
        return _PROGRAM_PATH.fullmatch(argv[0]) is not None
    if name.partition(".")[0] not in _PROGRAMS:
        return False
    return name not in _ENGLISH if len(argv) == 1 else not all(word.isalpha() for word in argv[1:])


def _is_unknown_program(reason: Sentence) -> bool:
    """Whether policy has no rule for the program at all."""
    why = reason.values.get("why")
    key = why.key if reason.key == "policy_nearest" and isinstance(why, Sentence) else reason.key
    return key in ("policy_program_unknown", "policy_program_other_path", "policy_bad_argv")
