"""What the commands about machines and invitations do: each is one transaction with its audit row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

from common.errors import UserError
from common.identity.certificates import MAX_LABELS
from common.ids import is_label_value, is_name
from common.lifecycle import JOB_SETTLED, JobState
from hub.cli.admin import open_store
from hub.cli.expiry import Expiry
from hub.config import HubConfig
from hub.store.transaction import Txn

ID_LENGTH: Final = 12
"""Characters of the hash of a token by which the list names it."""
MAX_TOKENS: Final = 200
_OPEN: Final = [state for state in JobState if state not in JOB_SETTLED]


def list_agents(config: HubConfig, everything: bool, now: float) -> list[dict[str, Any]]:
    """`state` is "expired" for an active machine whose newest certificate has run out. Moments are seconds since the
    epoch; `renewable_until` is None where the hub does not renew what has run out.
    """

    def unit(txn: Txn) -> list[dict[str, Any]]:
        ends, grace = txn.certificate_ends("agent"), config.links.grace("agent")
        return [
            {
                "name": agent.name,
                "state": "expired" if agent.state == "active" and expiry.has_run_out(now) else agent.state,
                "labels": agent.labels,
                "joined_at": agent.joined_at,
                "last_seen": agent.last_seen,
                "certificate_until": expiry.until,
                "renewable_until": expiry.renewable_until,
                "generation": agent.generation,
                "uplink_version": agent.version,
                "runner_version": (agent.facts or {}).get("runner", ""),
            }
            for agent in txn.agents()
            for expiry in [Expiry.of(ends.get(agent.name), grace)]
            if everything or agent.state != "revoked"
        ]

    with open_store(config, now) as store:
        return store.read_now(unit)


def label(config: HubConfig, name: str, changes: Sequence[str], now: float) -> dict[str, str]:
    """Applies K=V and K-; returns the labels."""
    with open_store(config, now) as store:

        def unit(txn: Txn) -> dict[str, str]:
            agent = txn.agent(name)
            if agent is None:
                raise _unknown(txn, name)
            labels = dict(agent.labels)
            for change in changes:
                _apply(labels, change)
            if len(labels) > MAX_LABELS:
                raise UserError(f"{len(labels)} labels", f"a machine has at most {MAX_LABELS}")
            txn.save_agent(agent, replace(agent, labels=labels))
            txn.audit("agent.labelled", name, "terminal", {"labels": labels, "before": agent.labels}, now)
            return labels

        return store.write_now(unit)


def _apply(labels: dict[str, str], change: str) -> None:
    key, equals, value = change.partition("=")
    if not equals and change.endswith("-") and is_name(change[:-1]):
        if labels.pop(change[:-1], None) is None:
            raise UserError(f"there is no label {change[:-1]}", f"labels here: {', '.join(sorted(labels)) or 'none'}")
    elif equals and is_name(key) and is_label_value(value):
        labels[key] = value
    else:
        raise UserError(f"{change[:64]!r} is no label", "write role=web to set one, role- to take it away")


def forget(config: HubConfig, name: str, now: float) -> None:
    """Deletes a revoked machine's row. Its certificates stay in the store, revoked, until they have run out."""
    with open_store(config, now) as store:

        def unit(txn: Txn) -> None:
            agent = txn.agent(name)
            if agent is None:
                raise _unknown(txn, name)
            if agent.state != "revoked":
                raise UserError(f"{name} is {agent.state}", f"revoke it first: answerback-hub agent revoke {name}")
            if txn.jobs(states=_OPEN, agent=name, limit=1):
                cure = "a serving hub ends them within seconds; try again then (answerback settle ends one by hand)"
                raise UserError(f"{name} has jobs that have not ended", cure)
            txn.delete_agent(name)
            txn.audit("agent.forgotten", name, "terminal", {"joined_at": agent.joined_at}, now)

        store.write_now(unit)


def _unknown(txn: Txn, name: str) -> UserError:
    names = [agent.name for agent in txn.agents()]
    more = f" and {len(names) - 12} more" if len(names) > 12 else ""
    return UserError(f"there is no machine {name[:64]}", f"machines here: {', '.join(names[:12]) or 'none'}{more}")


# ---- invitations


def list_tokens(config: HubConfig, now: float) -> list[dict[str, Any]]:
    """The newest first, at most 200."""
    with open_store(config, now) as store:
        found = store.read_now(lambda txn: txn.tokens(MAX_TOKENS))
    return [
        {
            "id": token.hash[:ID_LENGTH],
            "kind": token.kind,
            "name": token.name,
            "labels": token.labels,
            "state": "used" if token.used_at is not None else "open" if now < token.expires_at else "expired",
            "created_at": token.created_at,
            "expires_at": token.expires_at,
            "used_at": token.used_at,
            "by": token.created_by,
        }
        for token in found
    ]


def revoke_tokens(config: HubConfig, what: str, now: float) -> int:
    """Voids the open invitations of a name, or the one with an id; raises UserError where there is none."""
    with open_store(config, now) as store:

        def unit(txn: Txn) -> int:
            found = [token for token in txn.tokens(MAX_TOKENS) if token.used_at is None and now < token.expires_at]
            meant = [token for token in found if token.name == what or (len(what) >= 6 and token.hash.startswith(what))]
            for token in meant:
                txn.void_token(token.hash, now)
                txn.audit("token.revoked", token.name, "terminal", {"kind": token.kind}, now)
            if not meant:
                raise UserError(f"no open invitation {what[:64]}", "answerback-hub token list shows them")
            return len(meant)

        return store.write_now(unit)
