"""The runbooks and the policy that come with the hub, read once a process."""

from __future__ import annotations

import functools
from pathlib import Path

from common.policy.check import Policy
from hub.planning.chain import PlannerChain
from hub.planning.watched_files import load_chain, load_policy

FOLDER = Path(__file__).resolve().parents[3] / "hub" / "defaults"


@functools.cache
def default_chain() -> PlannerChain:
    return load_chain(FOLDER / "runbooks.toml")


@functools.cache
def default_policy() -> Policy:
    return load_policy(FOLDER / "policy.toml")
