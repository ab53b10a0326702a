"""The controls of trust, each with the lesson that it answers and a fault that takes it away.

`python tests/bench/mutants.py --controls` takes each away in a copy of the tree and runs the tests named beside it:
they have to fail. `tests/bench/test_trust_controls.py` holds the table to the code in every run. Lessons by what is
known of how such systems were broken:

    A1  one entrance of many skips the check, what was looked up once is believed for ever
    A2  who approves, who records: who may decide on their own, who reads what was recorded
    A3  B1 wrappers, B6 shown is not what runs, B7 approve this and run that, B8 paths and programs exchanged between
        check and use, B9 second readings of a command line, B13 who may approve, B15 files as a way around, B17 what
        strangers may send
    A4  programs that do more than their name says
    A5  what a model wrote
    A6  what comes in from outside
    A7  keys, codes, the record
    F12 two holders of one name
"""

from __future__ import annotations

from typing import Final, NamedTuple

from tests.bench.mutant_sample import Mutant


class Control(NamedTuple):
    lesson: str
    says: str
    fault: Mutant


RUNNER: Final = "tests/agent/runner"
ENGINE: Final = "tests/hub/engine"


def _control(lesson: str, says: str, file: str, old: str, new: str, tests: str) -> Control:
    return Control(lesson, says, Mutant(file, old, new, tests))


CONTROLS: Final[tuple[Control, ...]] = (
    # ---- reads that reach secrets
    _control(
        "A4",
        "secrets are known by name and place",
        "common/policy/secrets.py",
        "    if not SECRET_FOLDERS.isdisjoint(parts):\n        return True\n",
        "",
        "tests/common/policy/test_secrets.py",
    ),
    _control(
        "A4",
        "a copy of a secret is one",
        "common/policy/secrets.py",
        "name = _without_copy(parts[-1])",
        "name = parts[-1]",
        "tests/common/policy/test_secrets.py",
    ),
    _control(
        "A3 B8",
        "git is started in a verified checkout only",
        "agent/runner/repository.py",
        "    if REPOSITORY not in env:\n        return\n",
        "    return\n",
        f"{RUNNER}/test_repository.py",
    ),
    _control(
        "A3 B8",
        "a checkout's own settings start no filters",
        "agent/runner/repository.py",
        '    if kind in ("include", "includeif") or (kind == "filter" and key != "required"):\n        return True\n',
        "",
        f"{RUNNER}/test_repository.py",
    ),
    _control(
        "A3 B8",
        "where a path really leads is judged on the machine",
        "agent/runner/real_paths.py",
        '        return f"{_show(path)} leads to {_show(real)} on this machine: {why}"',
        '        return ""',
        f"{RUNNER}/test_real_paths.py",
    ),
    _control(
        "A4",
        "the default policy lets no known escape through",
        "common/policy/escapes.py",
        '        if verdict.kind != "deny":\n            yield Escape(verdict.rule',
        "        if False:\n            yield Escape(verdict.rule",
        "tests/common/policy/test_escapes.py",
    ),
    # ---- the program that runs is the one that was judged
    _control(
        "A3 B10",
        "every folder and link on the way to a program is judged",
        "agent/runner/programs.py",
        "place = walk(path, lambda where, status: _judge_way(path, where, status, uid), slow=slow)",
        "place = walk(path, slow=slow)",
        f"{RUNNER}/test_programs.py",
    ),
    _control(
        "A3 B2",
        "the real name is judged too",
        "agent/runner/programs.py",
        "if why := real_name_objection(path, program.real, policies):",
        'if why := "":',
        f"{RUNNER}/test_programs.py",
    ),
    _control(
        "A3 B8",
        "a digest in a rule is the file's",
        "agent/runner/programs.py",
        "if found not in allowed:",
        "if False:",
        f"{RUNNER}/test_programs.py",
    ),
    # ---- logins that are replaced
    _control(
        "A7",
        "a login that was replaced ends with the new one's first use",
        "hub/identity/logins.py",
        'return [] if used.retires_at is not None else _end(txn, identity.name, "used", now)',
        "return []",
        "tests/hub/identity/test_logins.py",
    ),
    _control(
        "A7",
        "a login that is being replaced ends by its time",
        "hub/identity/certificates.py",
        "(credential.revoked_at is not None or now >= credential.retires_at)",
        "credential.revoked_at is not None",
        "tests/hub/identity/test_logins.py",
    ),
    _control(
        "A7",
        "renewing is no way around a rotation",
        "hub/identity/certificates.py",
        "txn.add_credential(replace(issued, retires_at=credential.retires_at))",
        "txn.add_credential(issued)",
        "tests/hub/identity/test_logins.py",
    ),
    _control(
        "A7",
        "invitations of before end with a rotation",
        "hub/identity/logins.py",
        'voided = txn.void_tokens_of("operator", name, now)',
        "voided = 1",
        "tests/hub/identity/test_logins.py",
    ),
    # ---- approvals
    _control(
        "A1",
        "approvals are counted again when a job is handed out",
        "hub/core/dispatch.py",
        "    if short is not None:\n        return Withhold(str(short))\n",
        "",
        f"{ENGINE}/test_dispatch.py",
    ),
    _control(
        "A1",
        "by people who may approve now",
        "hub/core/approval_proofs.py",
        '    if not may(roles_of(approval.person), "approve"):\n        return Sentence("approval_no_right", who)\n',
        "",
        f"{ENGINE}/test_dispatch.py",
    ),
    _control(
        "A3 B7",
        "the machine checks who signed an approval, and of what",
        "agent/runner/approvals.py",
        "if not verify(key, proof.statement(order.request, order.plan_hash), proof.signature, purpose):",
        "if False:",
        f"{RUNNER}/test_approvals.py",
    ),
    _control(
        "A3 B7",
        "what a passkey signed is this plan",
        "common/identity/passkey.py",
        '        return "challenge"\n',
        "        pass\n",
        f"{RUNNER}/test_approvals.py",
    ),
    _control(
        "A7",
        "by somebody whom their authenticator knew",
        "common/identity/passkey.py",
        'return "" if flags & _VERIFIED else "verification"',
        'return ""',
        f"{RUNNER}/test_app_captured_hub.py",
    ),
    _control(
        "A6",
        "on the page that the passkey is for",
        "common/identity/passkey.py",
        '        return "origin"\n',
        "        pass\n",
        f"{RUNNER}/test_app_captured_hub.py",
    ),
    _control(
        "A6",
        "and for its site",
        "common/identity/passkey.py",
        '        return "site"\n',
        "        pass\n",
        f"{RUNNER}/test_app_captured_hub.py",
    ),
    _control(
        "A7",
        "a passkey's key verifies nothing but what a passkey signs",
        "agent/runner/approvals.py",
        "if key is None or proof.by_passkey != isinstance(key, Passkey):",
        "if key is None:",
        f"{RUNNER}/test_approvals.py",
    ),
    _control(
        "A2",
        "nobody approves their own, on the machine either",
        "agent/runner/approvals.py",
        "if not own_approval and proof.person in (order.person, *order.behalf):",
        "if False:",
        f"{RUNNER}/test_approvals.py",
    ),
    _control(
        "A7",
        "a row that this hub did not write starts nothing",
        "hub/core/row_mac.py",
        "if known != _covered(row) and not hmac.compare_digest(row.mac.encode(), self.mac(row).encode()):",
        "if False:",
        f"{ENGINE}/test_forged_rows.py",
    ),
    _control(
        "A5",
        "what a model wrote gets no yes that holds for a while",
        "hub/core/standing.py",
        '    if plan.tainted or plan.proposed:\n        return Sentence("allow_not_of_model")\n',
        "",
        f"tests/hub/core/test_standing.py {ENGINE}/test_standing_approvals.py",
    ),
    # ---- one holder of a name
    _control(
        "F12",
        "two holders of a name are told apart by their links",
        "hub/core/holder.py",
        'return self.relation == "diverged"',
        "return False",
        f"tests/hub/core/test_holder.py {ENGINE}/test_holders.py",
    ),
    _control(
        "F12",
        "a runner starts what was leased to it alone",
        "hub/core/holder.py",
        'job.life == life != ""',
        'life != ""',
        f"tests/hub/core/test_holder.py {ENGINE}/test_holders.py",
    ),
    _control(
        "F12",
        "a state folder from another machine is not served",
        "agent/place.py",
        "    if recorded.machine and recorded.machine != here.machine:\n",
        "    if False:\n",
        "tests/agent/test_place.py",
    ),
    # ---- identity, roles, secrets
    _control(
        "A2",
        "who may not read the audit does not read it as activity",
        "hub/api/following.py",
        "if not rights.AUDIT.held_by(self._access.roles(self._caller.person)):",
        "if False:",
        "tests/hub/api/test_subscriptions.py",
    ),
    _control(
        "A1",
        "every command of chat asks for its right",
        "hub/engine/chat_actions.py",
        "        if denied is not None:\n            return refuse(uow, actor, command.verb",
        "        if False:\n            return refuse(uow, actor, command.verb",
        f"{ENGINE}/test_chat_actions_roles.py",
    ),
    _control(
        "A7",
        "chat's wrong codes do not lock the console",
        "hub/engine/actor.py",
        'return "console" if self.via == "console" else "chat"',
        'return "chat"',
        f"tests/hub/engine/test_actor.py {ENGINE}/test_request_actions.py",
    ),
    _control(
        "A7",
        "one rate for the wrong codes of all",
        "hub/engine/request_actions.py",
        "            self._wrong_codes.try_acquire(uow.now)\n",
        "            pass\n",
        f"{ENGINE}/test_request_actions.py",
    ),
    _control(
        "A7",
        "a recovery code counts once",
        "hub/store/people.py",
        "& recovery_codes.c.used_at.is_(None)",
        "",
        "tests/hub/cli/test_register.py",
    ),
    _control(
        "A6",
        "webhooks beyond this machine come by TLS",
        "hub/core/http_table.py",
        "if table.certificate_file is not None or table.behind_proxy or is_loopback(table.listen.host):",
        "if True:",
        "tests/hub/core/test_http_table.py",
    ),
    _control(
        "A3 B15",
        "what others could have written is refused",
        "common/read_file.py",
        "        if others and not sticky:\n",
        "        if False:\n",
        "tests/common/test_read_file.py",
    ),
    _control(
        "A6",
        "what reads pictures reaches nothing",
        "common/process/confine.py",
        "    return int(_libc().syscall(number, _SET_MODE_FILTER, _ALL_THREADS, ctypes.byref(program))) == 0",
        "    return True",
        "tests/common/process/test_confine.py",
    ),
    _control(
        "A7",
        "a hub that serves cannot be looked into",
        "hub/app.py",
        "    forbid_inspection()  # before any key is read\n",
        "",
        "tests/hub/test_app.py",
    ),
    _control(
        "A3 B6",
        "no value brings hidden characters into a sentence",
        "common/catalogue.py",
        "return clean_lines(value) if isinstance(value, str) else value",
        "return value",
        "tests/common/test_catalogue.py",
    ),
    # ---- the machine's own word
    _control(
        "A1",
        "a machine joins with a policy of its own that denies",
        "agent/join.py",
        "profile: str = READ_ONLY",
        'profile: str = "trust-hub"',
        "tests/agent/test_join.py",
    ),
    _control(
        "A3 B7",
        "what is critical is signed by people whose keys the machine has",
        "agent/runner/local_policy.py",
        " or self._check_critical(policy.policy, order, now)",
        "",
        f"{RUNNER}/test_app_captured_hub.py",
    ),
    _control(
        "A3 B7",
        "what people signed is good for one start",
        "agent/runner/job_manager.py",
        "self._local_policy.use(order, now) or ",
        "",
        f"{RUNNER}/test_app_captured_hub.py",
    ),
    _control(
        "A3 B13",
        "one person's key is good for that person",
        "agent/runner/approvals.py",
        "for one in approvers.get(proof.person, ())",
        "for keys in approvers.values() for one in keys",
        f"{RUNNER}/test_approvals.py",
    ),
    # ---- whose own signatures count, changed from afar
    _control(
        "A3 B13",
        "the machine itself verifies who signed a change of approvers' keys",
        "agent/runner/key_changes.py",
        "        if verify(bytes.fromhex(one.key), statement, one.signature, KEY_CHANGE_PURPOSE):",
        "        if True:",
        f"{RUNNER}/test_key_changes.py",
    ),
    _control(
        "A3 B13",
        "only keys that the machine knows change whose keys it knows",
        "agent/runner/key_changes.py",
        "        if bytes.fromhex(one.key) not in known.people.get(one.person, ()):\n            continue\n",
        "",
        f"{RUNNER}/test_key_changes.py",
    ),
    _control(
        "A2",
        "two different people have to sign it",
        "agent/runner/key_changes.py",
        "    if len(people) >= known.needed:",
        "    if people:",
        f"{RUNNER}/test_key_changes.py",
    ),
    _control(
        "A3 B13",
        "alone one takes out nothing but keys of one's own",
        "agent/runner/key_changes.py",
        'if change.action == "remove" and one.person == change.person:',
        'if change.action == "remove":',
        f"{RUNNER}/test_key_changes.py",
    ),
    _control(
        "A3 B7",
        "a change that was held back does not come after a later one",
        "agent/runner/key_changes.py",
        "    if last is not None and last.order > change.order:",
        "    if False:",
        f"{RUNNER}/test_key_changes.py",
    ),
    _control(
        "A3 B7",
        "what is changed on the machine outdates what was signed before",
        "agent/approvers.py",
        "save_known(path, known.with_key(name, key).noted([key], LastChange(int(now * 1000)), now))",
        "save_known(path, known.with_key(name, key))",
        "tests/agent/test_approvers.py",
    ),
    _control(
        "A3 B7",
        "a change is for the machines that were signed, and no others",
        "agent/runner/key_changes.py",
        "    if not change.is_for(machine):",
        "    if False:",
        f"{RUNNER}/test_key_changes.py",
    ),
    _control(
        "A3 B7",
        "a change is for the machines of one hub",
        "agent/runner/key_changes.py",
        "    if change.hub != hub:",
        "    if False:",
        f"{RUNNER}/test_key_changes.py",
    ),
    _control(
        "A3 B7",
        "a change has an end",
        "agent/runner/key_changes.py",
        "    if change.expires < now:",
        "    if False:",
        f"{RUNNER}/test_key_changes.py",
    ),
    _control(
        "A2",
        "one key is one person's",
        "agent/approvers.py",
        "    if len(set(every)) < len(every):",
        "    if False:",
        "tests/agent/test_approvers.py",
    ),
    _control(
        "A3 B6",
        "a person signs the change that was asked for",
        "tui/client/key_changes.py",
        "    if (change.id, change.hub) != (change_id, hub):",
        "    if False:",
        "tests/tui/client/test_key_changes.py",
    ),
    _control(
        "A3 B6",
        "the machine holds who asked against what the approver was shown",
        "agent/runner/approvals.py",
        "    if proof.asked_by != askers(order.person, order.behalf):",
        "    if False:",
        f"{RUNNER}/test_approvals.py",
    ),
    _control(
        "A3 B6",
        "a person signs who asked",
        "common/approval_proof.py",
        """            **({"asked_by": self.asked_by} if self.asked_by else {}),\n        }\n        return json""",
        "        }\n        return json",
        "tests/common/test_approval_proof.py",
    ),
    _control(
        "A1",
        "what needs root waits for a runner that was made root",
        "agent/runner/local_policy.py",
        "    if uid == 0:\n",
        "    if True:\n",
        f"{RUNNER}/test_local_policy.py",
    ),
    _control(
        "A3 B6",
        "what is signed is the plan that was shown",
        "tui/client/approval_key.py",
        "if digest != request.plan_hash:",
        "if False:",
        "tests/tui/client/test_approval_key.py",
    ),
    _control(
        "A3 B13",
        "a yes to what is critical is the person's own",
        "hub/engine/request_actions.py",
        "if signed is None and uow.world.is_critical(request):",
        "if False:",
        f"{ENGINE}/test_request_actions.py",
    ),
    # ---- before anybody is known
    _control(
        "A6",
        "one address has its share of the connections that nobody stands behind",
        "hub/core/arrivals.py",
        "if one is not None and len(one.present) >= most:",
        "if False:",
        "tests/hub/core/test_arrivals.py",
    ),
    _control(
        "A6",
        "an address that proves nothing has few turns",
        "hub/core/arrivals.py",
        "if one.line and not (self.is_failing(address, now) and self._turns.try_acquire(address, now)):",
        "if one.line:",
        "tests/hub/core/test_arrivals.py",
    ),
    _control(
        "A6",
        "one address has its share of the webhooks' connections",
        "hub/chat/http_server.py",
        "if self._address and self._crowd.counts[self._address] > self._limits.address:",
        "if False:",
        "tests/hub/chat/test_http_server.py",
    ),
    # ---- no late start
    _control(
        "A3 B7",
        "a start waits for a word that the hub has signed for it",
        "agent/runner/verify.py",
        "    if key is None or not life:\n        return False\n    return verify(",
        "    return True\n    return verify(",
        f"{RUNNER}/test_job_manager.py",
    ),
    _control(
        "A3 B7",
        "a life counts from the acceptance, by a clock that nobody sets",
        "agent/runner/order_life.py",
        "min(life.until_boot, life.accepted_boot + left)",
        "inf",
        f"{RUNNER}/test_job_manager.py",
    ),
    # ---- rules out of history
    _control(
        "A4",
        "no rule is learned for what is known to do harm",
        "hub/core/learning/new_rule.py",
        "    if knows_harm(argv):\n",
        "    if False:\n",
        "tests/hub/core/learning/test_new_rule.py",
    ),
    _control(
        "A2",
        "what is learned to be allowed is what enough people said yes to",
        "hub/core/learning/narrow.py",
        "if len(one.approvers) >= terms.people}",
        "if one.approvers}",
        "tests/hub/core/learning/test_narrow.py",
    ),
    _control(
        "A2",
        "an approval that this hub did not sign teaches nothing",
        "hub/cli/policy_learn.py",
        " and prover.proof_of(one) is not None",
        "",
        "tests/hub/cli/test_policy_learn.py",
    ),
    # ---- the record
    _control(
        "A7",
        "a rewritten log is found by what was signed",
        "common/audit/verification.py",
        "if mark.hash != self.head or (mark.root and mark.root != self.tree.root()):",
        "if False:",
        "tests/common/audit/test_verification.py",
    ),
    _control(
        "A7",
        "a log without a recent checkpoint does not hold",
        "common/audit/verification.py",
        "            if self.strict:\n                self._check_recent()\n",
        "",
        "tests/common/audit/test_verification.py",
    ),
)
