"""The verbs of the console on the demo world, with the answers a hub would give, refusals included."""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Mapping
from typing import Any, Final

from common.plan import BadPlan, Plan, Step, plan_hash, plan_to_json
from tui.client import BadCall, CallRefused
from tui.commands import SETTLED
from tui.demo.cast import CODE, ME
from tui.demo.nodes import nodes
from tui.demo.past import Past
from tui.demo.world import DECIDE_WITHIN, Row, World
from tui.plan_text import to_text

Args = Mapping[str, Any]
TRIES: Final = 5
SAMPLE: Final = 8
CHUNKS: Final = 12


class Acts:
    """One method a verb; `verbs` is the closed table of them."""

    def __init__(self, world: World, past: list[Past], seed: int = 7) -> None:
        self.world = world
        self._past = past
        self._seed, self._begun = seed, world.now
        self._tries = TRIES
        self._done: set[str] = set()  # nonces of approvals that counted
        self._held: dict[int, Row] = {}
        self.verbs: dict[str, Callable[[Args], Any]] = {
            "request": self.request,
            "job": self.job,
            "jobs": self.jobs,
            "audit": self.audit,
            "targets": self.targets,
            "approve": self.approve,
            "reject": self.reject,
            "edit": self.edit,
            "cancel": self.cancel,
            "retry": self.retry,
            "priority": self.priority,
            "settle": self.settle,
            "pause": self.pause,
            "resume": self.resume,
            "drain": self.drain,
            "undrain": self.undrain,
            "run": self.run,
            "take_back": self.take_back,
            "models": self.models,
        }

    def models(self, args: Args) -> Any:
        return nodes(self._seed, self.world.now - self._begun)

    # ---- finding

    def _request(self, args: Args) -> Row:
        number, identity = args.get("number"), args.get("id")
        found = [row for row in self.world.requests.values() if row["number"] == number or row["id"] == identity]
        if not found:
            raise BadCall(f"there is no request r{number or identity}")
        return found[0]

    def _job(self, args: Args) -> Row:
        wanted = str(args.get("job") or args.get("id") or "").upper()
        found = self.world.jobs.get(wanted)
        if found is None:
            found = next((job for key, job in self.world.jobs.items() if wanted and key.endswith(wanted)), None)
        if found is None:
            found = next((job.row() for job in self._past if job.id == wanted), None)
        if found is None:
            raise BadCall(f"there is no job {wanted[:40]}")
        return found

    def _agents(self, selector: str) -> list[Row]:
        """Names, patterns or label=value, by comma."""
        found: dict[str, Row] = {}
        for part in filter(None, (part.strip() for part in selector.split(","))):
            key, equals, value = part.partition("=")
            found |= {
                name: agent
                for name, agent in self.world.agents.items()
                if (agent["labels"].get(key) == value if equals else fnmatch.fnmatchcase(name, part))
            }
        if not found:
            raise BadCall(f"no machine is called {selector[:60]}", "write web-1, web-* or role=web")
        return list(found.values())

    # ---- looking

    def request(self, args: Args) -> Any:
        row = self._request(args)
        names = {name for step in row["plan"]["steps"] for name in step["targets"]}
        online = sum(1 for name in names if self.world.agents[name]["online"])
        return {**row, "online": online, "jobs": [dict(job) for job in self.world.jobs_of.get(row["id"], [])]}

    def job(self, args: Args) -> Any:
        job = self._job(args)
        output, after = self.world.outputs.get(job["id"]), int(args.get("after") or 0)
        return {**job, "output": output.chunks[after : after + CHUNKS] if output else []}

    def jobs(self, args: Args) -> Any:
        agent, limit = args.get("agent"), int(args.get("limit", 100))
        found = [dict(job) for job in reversed(self.world.jobs.values()) if not agent or job["agent"] == agent]
        return found[:limit]

    def audit(self, args: Args) -> Any:
        subject, limit = args.get("subject"), int(args.get("limit", 100))
        jobs = {job["id"] for job in self.world.jobs_of.get(str(subject), [])}
        return [dict(row) for row in self.world.events if row["subject"] == subject or row["subject"] in jobs][-limit:]

    def targets(self, args: Args) -> Any:
        found = self._agents(str(args.get("selector", "")))
        online = sum(1 for agent in found if agent["online"])
        return {"count": len(found), "online": online, "sample": sorted(agent["name"] for agent in found)[:SAMPLE]}

    # ---- deciding

    def _asking(self, row: Row, args: Args) -> None:
        if row["state"] == "expired":
            raise CallRefused("expired", f"nobody decided r{row['number']} in time")
        if row["state"] != "asking":
            by = row["approvals"][-1]["person"] if row["approvals"] else row["reason"] or "nobody"
            raise CallRefused("already_decided", f"r{row['number']} has been decided already: {row['state']}, {by}")
        wanted = args.get("plan_hash") or args.get("base_hash")
        if wanted and wanted != row["plan_hash"]:
            raise CallRefused(
                "plan_changed",
                f"the plan of r{row['number']} is another one now ({row['plan_hash'][:8]}); look at it again",
            )

    def approve(self, args: Args) -> Any:
        row, nonce = self._request(args), str(args.get("nonce", ""))
        if nonce and nonce in self._done:
            return {"text": f"r{row['number']} is approved"}
        self._asking(row, args)
        if row["person"] == ME:
            raise CallRefused(
                "needs_second_person", f"you asked for r{row['number']} yourself: another person must approve it"
            )
        if row["second_factor"] and args.get("code") != CODE:
            self._tries -= 1
            if self._tries <= 0:
                self._tries = TRIES
                raise CallRefused("locked", f"too many wrong codes: {ME} is locked for 5 minutes")
            raise CallRefused(
                "bad_code", f"the code is wrong; {self._tries} more wrong codes and {ME} is locked for 5 minutes"
            )
        self._tries = TRIES
        self._done.add(nonce)
        world = self.world
        row["approvals"] = [
            *row["approvals"],
            {"person": ME, "at": world.now, "via": "console", "second_factor": row["second_factor"]},
        ]
        row["given"] = len(row["approvals"])
        data = {"plan_hash": row["plan_hash"], "second_factor": row["second_factor"], "reason": args.get("reason", "")}
        world.event("request.approved", row["id"], ME, data, row["number"])
        world.work(row, None)
        return {"text": f"r{row['number']} is approved: exactly plan {row['plan_hash'][:8]} runs now"}

    def reject(self, args: Args) -> Any:
        row = self._request(args)
        self._asking(row, {})
        self.world.end_request(row, "rejected", str(args.get("why", "")), ME)
        return {"text": f"r{row['number']} is rejected; {row['person']} has been told why"}

    def edit(self, args: Args) -> Any:
        row = self._request(args)
        self._asking(row, args)
        try:
            steps = tuple(
                Step(
                    tuple(step["argv"]),
                    tuple(step["targets"]),
                    step.get("cwd", ""),
                    tuple(sorted(step.get("env", {}).items())),
                    step["time_limit"],
                )
                for step in args["steps"]
            )
            plan = Plan(steps, "operator")
        except (BadPlan, AttributeError, KeyError, TypeError) as error:
            raise BadCall(f"this is no plan: {error}") from None
        unknown = [name for name in plan.targets if name not in self.world.agents]
        if unknown:
            raise BadCall(f"there is no machine {unknown[0]}")
        program = steps[0].argv[0].rpartition("/")[2]
        verdict = {
            "verdict": "ask",
            "reason": f"{program} changes machines",
            "approvers": 1,
            "who": ["dave", "erin"],
            "plan_hash": plan_hash(plan),
        }
        if program in ("shutdown", "reboot", "mkfs"):
            verdict |= {"verdict": "deny", "reason": f"{program} is never allowed here"}
        if args.get("dry_run"):
            return verdict
        if verdict["verdict"] == "deny":
            raise CallRefused("policy", str(verdict["reason"]))
        world = self.world
        world.end_request(row, "rejected", f"edited by {ME}: {args.get('why', '')}", ME)
        new = world.request(plan, row["text"], row["person"], row["inlet"], None, parent=row["id"])
        new |= {
            "state": "asking",
            "approvers": 1,
            "reason": verdict["reason"],
            "decide_by": world.now + DECIDE_WITHIN,
            "decided_at": None,
            "plan": plan_to_json(plan),
        }
        world.at(new["decide_by"], lambda: world.lapse(new))
        for job in world.jobs_of.pop(new["id"], []):
            world.set_state(job, "cancelled")
            world.jobs.pop(job["id"], None)
        data = {"was": row["number"], "why": args.get("why", "")}
        data |= {"before": to_text(row["plan"]["steps"]), "after": to_text(new["plan"]["steps"])}
        world.event("request.edited", new["id"], ME, data, new["number"])
        return {
            "number": new["number"],
            "id": new["id"],
            "state": "asking",
            "text": f"the new plan is r{new['number']}",
        }

    # ---- stepping in

    def cancel(self, args: Args) -> Any:
        kill = args.get("kill") is True
        if args.get("number") is not None:
            row = self._request(args)
            if row["state"] == "asking":
                self.world.end_request(row, "cancelled", f"taken back by {ME}", ME)
                return {"text": f"r{row['number']} is cancelled; nothing has run"}
            if row["state"] != "working":
                raise CallRefused("too_late", f"it is too late: r{row['number']} is {row['state']} already")
            jobs = [job for job in self.world.jobs_of.get(row["id"], []) if job["state"] not in SETTLED]
            for job in jobs:
                self.world.cancel(job, ME, kill)
            return {"text": f"cancel asked for {len(jobs)} jobs of r{row['number']}"}
        job = self._job(args)
        if job["state"] in SETTLED:
            raise CallRefused("too_late", f"it is too late: the job is {job['state']} already")
        self.world.cancel(job, ME, kill)
        return {"text": "cancel asked for 1 job"}

    def retry(self, args: Args) -> Any:
        if args.get("number") is not None:
            row = self._request(args)
            steps = row["plan"]["steps"]
        else:
            job = self._job(args)
            steps, row = [{"argv": job["argv"], "targets": [job["agent"]], "time_limit": 60}], job
        plan = Plan(
            tuple(Step(tuple(step["argv"]), tuple(step["targets"]), time_limit=step["time_limit"]) for step in steps),
            "operator",
        )
        return dict(self.world.request(plan, f"retry of r{row['number']}", ME, "console", None, parent=row["id"]))

    def priority(self, args: Args) -> Any:
        waiting = [
            job for job in (self._job({"job": name}) for name in args.get("jobs", ())) if job["state"] == "queued"
        ]
        changed = len(waiting)
        if not changed:
            raise CallRefused("too_late", "none of them waits in the queue any more")
        if args.get("dry_run"):
            return {"text": f"{changed} jobs would have it", "order": self._order(waiting, int(args["priority"]))}
        for job in waiting:
            job["priority"] = int(args["priority"])
            self.world.touched("jobs", job["id"])
        self.world.event("job.priority", str(args["jobs"][0]), ME, {"priority": args["priority"], "jobs": changed})
        return {"text": f"priority {args['priority']} for {changed} jobs"}

    def _order(self, chosen: list[Row], priority: int) -> list[Row]:
        """The place of each in its machine's line, before and after."""
        told, names = [], {job["id"] for job in chosen}
        for agent in sorted({job["agent"] for job in chosen}):
            line = [job for job in self.world.jobs.values() if job["agent"] == agent and job["state"] == "queued"]
            line.sort(key=lambda job: (-job["priority"], job["queued_at"]))
            after = sorted(line, key=lambda job: -(priority if job["id"] in names else job["priority"]))
            told += [
                {"job": job["id"], "agent": agent, "was": line.index(job) + 1, "now": place, "of": len(line)}
                for place, job in enumerate(after, 1)
                if job["id"] in names
            ]
        return told

    def settle(self, args: Args) -> Any:
        job = self._job(args)
        if job["state"] != "unknown":
            raise CallRefused("too_late", f"the outcome is known: {job['state']}")
        self.world.end(job, "succeeded" if args.get("done") else "failed", reason=f"settled by {ME}")
        return {"text": "recorded as your word"}

    def pause(self, args: Args) -> Any:
        world, reason = self.world, str(args.get("reason", ""))
        selection = str(args.get("selector") or args.get("agent") or "")
        if not selection:
            world.queue_paused = {"by": ME, "at": world.now, "reason": reason}
            world.event("queue.paused", "queue", ME, {"reason": reason})
            return {"text": "the whole queue is paused"}
        found = self._agents(selection)
        for agent in found:
            agent |= {"paused_by": ME, "paused_at": world.now, "pause_reason": reason}
            world.event("queue.paused", agent["name"], ME, {"reason": reason})
            world.touched("agents", agent["name"])
            if args.get("until"):
                world.at(float(args["until"]), lambda name=agent["name"]: self._resumed(name, "hub"))  # type: ignore[misc]
        return {"text": f"paused: {', '.join(agent['name'] for agent in found[:3])}"}

    def _resumed(self, name: str, by: str) -> None:
        agent = self.world.agents[name]
        agent |= {"paused_by": "", "paused_at": None, "pause_reason": ""}
        self.world.event("queue.resumed", name, by, {})
        self.world.touched("agents", name)

    def resume(self, args: Args) -> Any:
        selection = str(args.get("selector") or args.get("agent") or "")
        if not selection:
            self.world.queue_paused = None
            self.world.event("queue.resumed", "queue", ME, {})
            return {"text": "the queue goes on"}
        found = self._agents(selection)
        for agent in found:
            self._resumed(agent["name"], ME)
        return {"text": f"resumed: {', '.join(agent['name'] for agent in found[:3])}"}

    def drain(self, args: Args) -> Any:
        world = self.world
        agent = self._agents(str(args.get("agent")))[0]
        agent["draining"] = {"left": agent["running"], "of": agent["running"], "by": ME, "at": world.now}
        world.event("agent.drained", agent["name"], ME, {"cancel_after": args.get("cancel_after")})
        world.touched("agents", agent["name"])
        if args.get("cancel_after"):
            jobs = [job for job in world.jobs.values() if job["agent"] == agent["name"] and job["state"] == "running"]
            world.after(float(args["cancel_after"]), lambda: self._cancel_all(jobs))
        return {"text": f"{agent['name']} drains: {agent['running']} jobs still run there"}

    def _cancel_all(self, jobs: list[Row]) -> None:
        for job in jobs:
            self.world.cancel(job, ME, False)

    def undrain(self, args: Args) -> Any:
        agent = self._agents(str(args.get("agent")))[0]
        if not agent["draining"]:
            raise CallRefused("too_late", f"{agent['name']} is not draining")
        agent["draining"] = None
        self.world.event("agent.undrained", agent["name"], ME, {})
        self.world.touched("agents", agent["name"])
        return {"text": f"{agent['name']} takes jobs again"}

    # ---- asking for work

    def run(self, args: Args) -> Any:
        found = self._agents(str(args.get("target", "")))
        if args.get("expect") is not None and args["expect"] != len(found):
            raise CallRefused("selection_changed", f"that is {len(found)} machines now, not {args['expect']}")
        names = sorted(agent["name"] for agent in found)
        try:
            plan = Plan((Step(tuple(args["argv"]), tuple(names), time_limit=int(args.get("timeout", 60))),), "operator")
        except BadPlan as error:
            raise BadCall(str(error)) from None
        program = str(args["argv"][0]).rpartition("/")[2]
        world, hold = self.world, float(args.get("hold", 0))
        text = f"@{args['target']} {' '.join(args['argv'])}"
        if program in ("rm", "shutdown", "reboot", "mkfs", "dd"):
            row = world.request(plan, text, ME, "console", None)
            for job in world.jobs_of.pop(row["id"], []):
                world.set_state(job, "cancelled")
                world.jobs.pop(job["id"], None)
            world.end_request(
                row, "refused", f"{program} is not in the policy's list of commands; nearest rule: allow-reading"
            )
            return dict(row)
        row = world.request(plan, text, ME, "console", None)
        if hold:
            for job in world.jobs_of.get(row["id"], []):
                job["not_before"] = world.now + hold
            self._held[row["number"]] = row
            row["hold_until"] = world.now + hold
        return dict(row)

    def take_back(self, args: Args) -> Any:
        row = self._request(args)
        if row["state"] == "working" and self.world.now < row.get("hold_until", 0.0):
            self.world.end_request(row, "cancelled", f"taken back by {ME}", ME)
            for job in self.world.jobs_of.get(row["id"], []):
                self.world.end(job, "cancelled", reason=f"taken back by {ME}")
            return {"text": f"r{row['number']} is taken back; nothing has run"}
        raise CallRefused("too_late", f"it is too late to take r{row['number']} back: cancel it")
