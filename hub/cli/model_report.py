"""`answerback-hub models`: the figures of the running hub's model servers, and a health check made now."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import httpx
from prometheus_client.parser import text_string_to_metric_families

from common.text import clean
from hub.cli.options import local_address
from hub.config import HubConfig
from hub.planning.llm_servers.build import build_clients
from hub.planning.llm_servers.node import PROBE_TIMEOUT, ModelClient
from hub.planning.llm_servers.types import AttemptFailed, Healthy

FETCH_TIMEOUT: Final = 2.0
MAX_METRICS: Final = 8 * 1024 * 1024
_NOT_ERRORS: Final = frozenset({"ok", "hedged", "cancelled"})
"""Results of attempts that are not errors of the node."""


@dataclass(slots=True)
class HubMetrics:
    """The figures of model servers in a hub's `/metrics`, by node or in sum."""

    up: dict[str, bool] = field(default_factory=dict)
    running: dict[str, int] = field(default_factory=dict)
    speed: dict[str, float] = field(default_factory=dict)  # tokens a second
    first: dict[str, float] = field(default_factory=dict)  # seconds until the first token, mean
    results: dict[str, dict[str, int]] = field(default_factory=dict)
    waiting: int = 0
    cache: dict[str, int] = field(default_factory=dict)  # layer -> plans stored
    lookups: dict[str, int] = field(default_factory=dict)


async def build_report(config: HubConfig) -> dict[str, Any]:
    """One row a node, and what they share; see `answerback-hub models`."""
    async with asyncio.TaskGroup() as tasks:
        asking = tasks.create_task(fetch_metrics(config))
        checks = {spec.name: tasks.create_task(probe_node(wire)) for spec, wire in build_clients(config.models)}
    figures = asking.result()
    nodes = []
    for name, table in config.models.items():
        found = checks[name].result()
        problem = f"{found.kind}: {found.detail}" if isinstance(found, AttemptFailed) else ""
        nodes.append(
            {"name": name, "kind": table.kind, "model": table.model, "url": table.url, "priority": table.priority}
            | {
                "up": not problem,
                "problem": problem,
                "digest": "" if isinstance(found, AttemptFailed) else found.digest,
            }
            | _node_metrics(name, figures)
        )
    shared = None if figures is None else _shared_metrics(figures)
    return {"asked": config.planning.models, "hub": figures is not None, "nodes": nodes, "shared": shared}


def _node_metrics(name: str, figures: HubMetrics | None) -> dict[str, Any]:
    if figures is None or name not in figures.up:
        return dict.fromkeys(("hub_up", "tokens_per_second", "first_token", "running", "answered", "errors"))
    results = figures.results.get(name, {})
    return {
        "hub_up": figures.up[name],
        "tokens_per_second": figures.speed.get(name),
        "first_token": figures.first.get(name),
        "running": figures.running.get(name, 0),
        "answered": results.get("ok", 0),
        "errors": {kind: count for kind, count in sorted(results.items()) if kind not in _NOT_ERRORS and count},
    }


def _shared_metrics(figures: HubMetrics) -> dict[str, Any]:
    total = sum(figures.lookups.values())
    hits = figures.lookups.get("memory", 0) + figures.lookups.get("disk", 0)
    ratio = round(hits / total, 3) if total else None
    return {"waiting": figures.waiting, "cached": figures.cache, "lookups": total, "hit_ratio": ratio}


# ---- the running hub


async def fetch_metrics(config: HubConfig) -> HubMetrics | None:
    """The figures of the hub with this configuration; None where none runs."""
    url = f"http://{local_address(config.http.listen)}/metrics"
    try:
        async with asyncio.timeout(FETCH_TIMEOUT), httpx.AsyncClient(trust_env=False) as client:
            async with client.stream("GET", url) as answer:
                body = b""
                async for piece in answer.aiter_raw():
                    body += piece
                    if len(body) > MAX_METRICS:
                        return None
                return parse_metrics(body.decode("utf-8", "replace")) if answer.status_code == 200 else None
    except (httpx.HTTPError, TimeoutError, ValueError, KeyError, IndexError, OverflowError):
        return None  # nothing serves there, or something else than a hub


def parse_metrics(text: str) -> HubMetrics | None:
    """Parses Prometheus text; None where it is not a hub's. Raises ValueError where it is malformed."""
    figures = HubMetrics()
    sums: dict[str, float] = {}
    counts: dict[str, float] = {}
    is_hub = False
    for family in text_string_to_metric_families(text):
        is_hub |= family.name.startswith("answerback_")
        for sample in family.samples:
            _apply_sample(figures, sums, counts, sample.name, sample.labels, sample.value)
    figures.first = {node: sums[node] / count for node, count in counts.items() if count and node in sums}
    return figures if is_hub else None


def _apply_sample(
    figures: HubMetrics,
    sums: dict[str, float],
    counts: dict[str, float],
    name: str,
    labels: Mapping[str, str],
    value: float,
) -> None:
    node = labels.get("node", "")
    match name.removeprefix("answerback_"):
        case "model_up":
            figures.up[node] = bool(value)
        case "model_running":
            figures.running[node] = int(value)
        case "model_tokens_per_second":
            figures.speed[node] = value
        case "model_requests_total":
            figures.results.setdefault(node, {})[labels.get("result", "")] = int(value)
        case "model_first_token_seconds_sum":
            sums[node] = value
        case "model_first_token_seconds_count":
            counts[node] = value
        case "model_queue":
            figures.waiting = int(value)
        case "plan_cache_entries":
            figures.cache[labels.get("layer", "")] = int(value)
        case "plan_cache_lookups_total":
            figures.lookups[labels.get("result", "")] = int(value)


# ---- a health check made now


async def probe_node(client: ModelClient) -> Healthy | AttemptFailed:
    try:
        async with asyncio.timeout(PROBE_TIMEOUT):
            return await client.probe()
    except TimeoutError:
        return AttemptFailed("slow", f"no answer to a health check within {PROBE_TIMEOUT:g} s")
    finally:
        await client.close()


def format_report(report: Mapping[str, Any]) -> Iterable[str]:
    """The report for people."""
    nodes = report["nodes"]
    if not nodes:
        yield "no model is configured: plain words that no runbook fits are not understood"
        yield "add one to hub.toml, as [models.NAME] with url and model: answerback-hub models --help shows how"
        return
    rows: list[tuple[str, ...]] = [
        ("node", "kind", "model", "state", "tokens/s", "first token", "under way", "answered", "errors", "url")
    ]
    rows += [_row(node) for node in nodes]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for index, row in enumerate(rows):
        yield clean("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
        if index and nodes[index - 1]["problem"]:
            yield f"    {clean(nodes[index - 1]['problem'])}"
    if not report["asked"]:
        yield "[planning] models = false: none of them is asked"
    if (shared := report["shared"]) is None:
        yield "no hub serves this configuration now: only a health check was made"
        return
    stored = ", ".join(f"{count} in {layer}" for layer, count in sorted(shared["cached"].items())) or "none"
    ratio = (
        "" if shared["hit_ratio"] is None else f"; {shared['hit_ratio']:.0%} of {shared['lookups']} lookups found one"
    )
    yield clean(f"waiting for a model: {shared['waiting']}; plans kept: {stored}{ratio}")


def _row(node: Mapping[str, Any]) -> tuple[str, ...]:
    def shown(key: str, form: str) -> str:
        return "-" if node[key] is None else format(node[key], form)

    errors = node["errors"]
    return (
        node["name"],
        node["kind"],
        node["model"],
        "up" if node["up"] else "down",
        shown("tokens_per_second", ".1f"),
        "-" if node["first_token"] is None else f"{node['first_token']:.2f} s",
        shown("running", "d"),
        shown("answered", "d"),
        "-" if errors is None else ", ".join(f"{count} {kind}" for kind, count in errors.items()) or "0",
        node["url"],
    )
