"""answerback-agent: the command line of a machine. argparse, since the agent starts often and stays small.

Each command imports what it needs when it runs, and nothing else: the uplink must not load `cryptography`, the runner
must not load the network. So asyncio is imported there too: it brings `ssl` unless it is told not to.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NoReturn

from agent.state import DEFAULT_STATE, SOCKET_VARIABLE, StateFolder, check_socket_path
from common.errors import EXIT_FAILED, EXIT_OK, UserError
from common.process.program import run_command, wants_json
from common.version import VERSION

TOKEN_VARIABLE: Final = "ANSWERBACK_TOKEN"  # noqa: S105 - a variable's name
STATE_VARIABLE: Final = "ANSWERBACK_STATE"
_MAX_INPUT: Final = 64 * 1024

_EXAMPLES: Final = f"""\
examples:
  answerback-agent join wss://hub.example.org:8443 --token web-1.c2Vj… --ca-pin sha256:5f0c…
      the line that `answerback-hub token --agent web-1` prints; once per machine
  answerback-agent join wss://hub.example.org:8443 --token - --ca-pin sha256:5f0c… < token
      the same with the token from standard input, so that it is in nobody's process list;
      ${TOKEN_VARIABLE} does too
  answerback-agent run
      keeps the link, and starts the runner if none serves this folder; jobs outlive this command
  answerback-agent take-over
      after the disk was moved here or a backup was put back: this state folder goes on here
  answerback-agent status --json
      what this machine is, and whether it is linked and at work
  answerback-agent upgrade
      after the new version was installed: runner and uplink go on as that, and no job notices
  answerback-agent policy show
      what this machine lets its hub do; `policy use NAME` changes the profile, `policy check -- COMMAND` tries one
  answerback-agent approvers add bob 5f0c…
      bob's own signature counts here where a rule is critical; the line is from his `answerback whoami --approval-key`
  answerback-agent approvers add bob passkey:es256:Aq_v…:https://hub.example.org
      the same with his passkey, for who approves on the hub's page; from his `answerback passkey list`
  answerback-agent doctor
      clock, names, ports, certificate, policy, disk, permissions: what is wrong, and what to do

Under systemd the runner and the uplink are services of their own: see systemd/README.md.
The machine decides too: {DEFAULT_STATE}/runner/policy.toml refuses whatever it does not allow, which
is all but reading unless join was given --policy trust-hub, or a rule was added there.

exit codes: 0 done, 1 the work failed, 2 wrong usage or configuration, 130 interrupted
"""


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Runs one command and exits with its code; how errors are told is in `common.process.program`."""
    raise SystemExit(run_command("answerback-agent", lambda: _run_one(arguments)))


def _run_one(arguments: Sequence[str] | None) -> int:
    options = _parser().parse_args(arguments)
    return _COMMANDS[options.command](options)


# ---- the commands


def _join(options: argparse.Namespace) -> int:
    import asyncio

    from agent.approvers import add_approver, parse_approver
    from agent.join import join  # loads cryptography
    from agent.machine_policy import summarize

    state = _state(options)
    token = options.token or os.environ.get(TOKEN_VARIABLE, "")
    if token == "-":  # noqa: S105 - standard input
        token = sys.stdin.readline(_MAX_INPUT)
    if not token.strip():
        raise UserError("no token", f"give --token, --token - (standard input) or ${TOKEN_VARIABLE}")
    approvers = [parse_approver(text) for text in options.approver]
    if len({key for _, key in approvers}) < len(set(approvers)):
        raise UserError("--approver: one key is two people's", "one key is one person's: make the command anew")
    joined = asyncio.run(
        join(options.url, token.strip(), options.ca_pin, state, force=options.force, profile=options.policy)
    )
    for name, key in approvers:
        add_approver(state.approvers, name, key)
    print(f"joined as {joined.name} to hub {joined.hub}; state in {state.path}")
    print(f"  this machine's own policy: {state.policy}, {summarize(state.policy).text}")
    for name, key in approvers:
        print(f"  counts approvals that {name} signs with {key}")
    where = "" if state.path == DEFAULT_STATE else f" --state {state.path}"
    print(f"  next: answerback-agent run{where}")
    return EXIT_OK


def _run(options: argparse.Namespace) -> int:
    from agent.serve import serve_all

    serve_all(_state(options), _socket(options), options.log_level)
    return EXIT_OK


def _uplink(options: argparse.Namespace) -> int:
    from agent.serve import serve_uplink

    serve_uplink(_state(options), _socket(options), options.log_level)
    return EXIT_OK


def _runner(options: argparse.Namespace) -> int:
    # It must not load the network, and asyncio does without: a module that is None is one that cannot be imported.
    sys.modules.setdefault("ssl", None)  # type: ignore[arg-type]
    from agent.serve import RunnerOptions, serve_runner

    serve_runner(
        RunnerOptions(
            state=_state(options),
            socket=_socket(options),
            log_level=options.log_level,
            exit_when_idle=options.exit_when_idle,
            uplink_user=options.uplink_user or "",
            job_user=options.job_user,
            log=options.log.absolute() if options.log else None,
        )
    )
    return EXIT_OK


def _check_hand_over(options: argparse.Namespace) -> int:
    from agent.serve import check_hand_over

    print(json.dumps({"version": check_hand_over(options.program, sys.stdin.buffer)}))
    return EXIT_OK


def _upgrade(options: argparse.Namespace) -> int:
    from agent.upgrade import NAMES, describe, upgrade

    names = [options.only] if options.only else NAMES
    told = (lambda line: None) if options.json else (lambda line: print(line, flush=True))
    found = upgrade(_state(options), names, told)
    print(json.dumps({each.name: each.to_json() for each in found}, indent=1) if options.json else describe(found))
    return EXIT_OK if all(each.done for each in found) else EXIT_FAILED


def _take_over(options: argparse.Namespace) -> int:
    from agent.take_over import take_over

    state = _state(options)
    print(take_over(state))
    return EXIT_OK


def _status(options: argparse.Namespace) -> int:
    from agent.status import read_status

    found = read_status(_state(options), time.time())
    print(json.dumps(found.to_json(), indent=1) if options.json else found.to_text())
    return found.exit_status


def _doctor(options: argparse.Namespace) -> int:
    import asyncio

    from agent.doctor import examine
    from common.doctor.findings import exit_status, finding_lines, findings_json

    found = asyncio.run(examine(_state(options), os.environ, time.time()))
    print(json.dumps(findings_json(found), indent=1) if options.json else "\n".join(finding_lines(found)))
    return exit_status(found)


def _policy(options: argparse.Namespace) -> int:
    from agent import policy_commands

    state, status = _state(options), EXIT_OK
    if options.action == "show":
        lines, body = policy_commands.show(state)
    elif options.action == "use":
        lines, body = policy_commands.use(state, options.profile)
    else:
        lines, body, status = policy_commands.check_command(state, options.words)
    print(json.dumps(body, indent=1) if options.json else "\n".join(lines))
    return status


def _approvers(options: argparse.Namespace) -> int:
    from agent import policy_commands

    name, key = getattr(options, "name", ""), getattr(options, "key", "")
    needed = getattr(options, "needed", 0)
    lines, body = policy_commands.approvers(_state(options), options.action, name, key, needed)
    print(json.dumps(body, indent=1) if options.json else "\n".join(lines))
    return EXIT_OK


def _make_request(options: argparse.Namespace) -> int:
    from agent.reserve import room_for_renewal
    from common.identity.csr import prepare_renewal

    state = _state(options)
    with state.hold_credential(), room_for_renewal(state.uplink):
        prepare_renewal(state.credential, "agent", state.settings().name)
    return EXIT_OK


def _take_certificate(options: argparse.Namespace) -> int:
    from agent.reserve import room_for_renewal
    from common.identity.csr import stage_renewal

    state, pem, now = _state(options), sys.stdin.buffer.read(_MAX_INPUT), options.at or time.time()
    with state.hold_credential(), room_for_renewal(state.uplink):
        if not state.credential.next_key.exists():
            raise UserError("no renewal is under way", "the machine has joined anew meanwhile")
        stage_renewal(state.credential, "agent", state.settings().name, pem, options.generation, now)
    return EXIT_OK


def _take_trust(options: argparse.Namespace) -> int:
    from agent.reserve import room_for_renewal
    from common.files import write_file
    from common.identity.trust_check import check_bundle
    from common.read_file import read_bytes

    state, bundle, now = _state(options), sys.stdin.buffer.read(_MAX_INPUT), options.at or time.time()
    with state.hold_credential(), room_for_renewal(state.uplink):
        file = state.credential.authority
        write_file(file, check_bundle(bundle, read_bytes(file), state.settings().hub, now))
    return EXIT_OK


_COMMANDS: Final = {
    "join": _join,
    "run": _run,
    "runner": _runner,
    "uplink": _uplink,
    "take-over": _take_over,
    "upgrade": _upgrade,
    "status": _status,
    "doctor": _doctor,
    "policy": _policy,
    "approvers": _approvers,
    "check-hand-over": _check_hand_over,
    "make-request": _make_request,
    "take-certificate": _take_certificate,
    "take-trust": _take_trust,
}


# ---- the options


def _state(options: argparse.Namespace) -> StateFolder:
    return StateFolder(Path(options.state).absolute())


def _socket(options: argparse.Namespace) -> Path:
    if getattr(options, "socket", None) is None:
        return _state(options).socket
    path = Path(options.socket).absolute()
    check_socket_path(path)
    return path


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """Wrong usage is told like every other mistake, with `--json` as JSON."""
        if not wants_json(sys.argv[1:]):
            self.print_usage(sys.stderr)
        raise UserError(message, f"see {self.prog} --help")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="answerback-agent",
        description="Joins this machine to an Answerback hub, and runs what the hub signed and its own policy allows.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"answerback-agent {VERSION}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(name: str, text: str | None) -> argparse.ArgumentParser:
        # A command without a text is one that the agent calls itself; it is not listed.
        sub = (
            commands.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
            if text
            else commands.add_parser(name)
        )
        sub.add_argument(
            "--state",
            metavar="DIR",
            default=os.environ.get(STATE_VARIABLE) or str(DEFAULT_STATE),
            help=f"the state folder (default ${STATE_VARIABLE}, else {DEFAULT_STATE})",
        )
        return sub

    def serving(sub: argparse.ArgumentParser) -> None:
        sub.add_argument(
            "--socket",
            metavar="PATH",
            help=f"the runner's local socket (default ${SOCKET_VARIABLE}, else in the state folder)",
        )
        sub.add_argument("--log-level", choices=("debug", "info", "warning", "error"), default="info")

    join = command("join", "make this machine known to a hub; needs the token and the pin that the hub printed")
    join.add_argument("url", metavar="URL", help="the hub's link port, wss://HOST:PORT")
    join.add_argument("--token", help=f"the token, or - to read it from standard input (default ${TOKEN_VARIABLE})")
    join.add_argument(
        "--ca-pin", required=True, metavar="sha256:…", help="the pin of the hub's authority; never optional"
    )
    join.add_argument(
        "--force",
        action="store_true",
        help="replace a join of this folder under another name or at another hub",
    )

    join.add_argument(
        "--policy",
        metavar="PROFILE",
        default="read-only",
        help="what this machine lets the hub do: read-only, or trust-hub; a policy.toml that is there stays",
    )

    join.add_argument(
        "--approver",
        metavar="NAME:KEY",
        action="append",
        default=[],
        help="somebody whose own signature counts here where a rule is critical; may be repeated",
    )

    serving(command("run", "keep the link to the hub, and start the runner where none serves this folder"))
    serving(command("uplink", "keep the link to the hub; the runner is another service"))
    runner = command("runner", "run the jobs; needs no network and outlives the uplink")
    serving(runner)
    runner.add_argument("--exit-when-idle", action="store_true", help="end when no uplink is attached and no job runs")
    runner.add_argument(
        "--uplink-user", metavar="USER", help="the user whose uplink may attach, besides the runner's own"
    )
    runner.add_argument(
        "--job-user",
        metavar="USER",
        default="",
        help="where this is root: whose the jobs are that no rule says run_as = root of (default $ANSWERBACK_JOB_USER,"
        " else answerback-runner where there is one; root: all are root's)",
    )
    runner.add_argument("--log", metavar="FILE", type=Path, help=argparse.SUPPRESS)  # standard error is this file
    command(
        "take-over",
        "say that this state folder goes on here, after its disk was moved or a backup was put back; never for a copy"
        " whose original is still in use",
    )
    upgraded = command(
        "upgrade",
        "have the runner and the uplink go on as the version that is installed now; jobs run on; 1 where one does not",
    )
    upgraded.add_argument("--only", choices=("runner", "uplink"), help="one of the two")
    upgraded.add_argument("--json", action="store_true", help="one JSON object")
    status = command("status", "tell whether this machine is joined, linked and at work; 1 where it is not")
    status.add_argument("--json", action="store_true", help="one JSON object")
    doctor = command("doctor", "look for what keeps this machine from its hub, and say what to do; changes nothing")
    doctor.add_argument("--json", action="store_true", help="one JSON object")

    _add_policy(command("policy", "show or change what this machine lets its hub do, or try a command"))
    _add_approvers(command("approvers", "whose own signatures count here, where a rule is critical"))

    asked = command("check-hand-over", None)
    asked.add_argument("program", choices=("runner", "uplink"))
    command("make-request", None)
    take = command("take-certificate", None)
    take.add_argument("--generation", type=int, required=True)
    trust = command("take-trust", None)
    for sub in (take, trust):
        sub.add_argument("--at", type=float, default=0.0)  # by the hub's clock
    return parser


def _add_policy(policy: argparse.ArgumentParser) -> None:
    actions = policy.add_subparsers(dest="action", required=True, metavar="ACTION")
    shown = actions.add_parser("show", help="the profile, the rules of this machine's own, and all others")
    use = actions.add_parser("use", help="begin with another profile: read-only, or trust-hub; own rules stay")
    use.add_argument("profile", metavar="PROFILE")
    check = actions.add_parser("check", help="the verdict on a command; runs nothing; 3 where it would be refused")
    check.add_argument("words", nargs="*", metavar="-- COMMAND", help="as people type it, or with its whole path")
    for sub in (shown, use, check):
        _add_common(sub)


def _add_approvers(approvers: argparse.ArgumentParser) -> None:
    actions = approvers.add_subparsers(dest="action", required=True, metavar="ACTION")
    shown = actions.add_parser("list", help="people and their public keys")
    add = actions.add_parser(
        "add", help="a person with the key that `answerback whoami --approval-key` prints, or a passkey"
    )
    remove = actions.add_parser("remove", help="a person with all their keys, or with the one that is named")
    needed = actions.add_parser("needed", help="how many of them have to sign a change from afar: 2 at least")
    needed.add_argument("needed", metavar="N", type=int)
    for sub in (add, remove):
        sub.add_argument("name", metavar="NAME", help="as the hub knows them")
    add.add_argument("key", metavar="KEY", help="64 hex digits, or passkey:…; from the person and not from the hub")
    remove.add_argument("key", metavar="KEY", nargs="?", default="", help="64 hex digits, or passkey:…")
    for sub in (shown, add, remove, needed):
        _add_common(sub)


def _add_common(action: argparse.ArgumentParser) -> None:
    """What an action takes; the state folder may be named before it, too."""
    action.add_argument("--json", action="store_true", help="one JSON object")
    action.add_argument("--state", metavar="DIR", default=argparse.SUPPRESS, help="the state folder")


if __name__ == "__main__":
    main()
