"""answerback-hub models: the state of model servers, a trial of one message, clearing the cache of plans.

The docstrings of commands are their help texts.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time

import click

from hub.cli.options import config_file_option, config_option, read_config
from hub.cli.rotation import model_files
from hub.cli.secret_commands import add_secret_commands
from hub.config import HubConfig


@click.group("models", invoke_without_command=True, short_help="Language models: how they are, test, clear.")
@click.option("--json", "as_json", is_flag=True, help="one JSON object")
@config_file_option
@click.pass_context
def models_group(context: click.Context, config_file: str | None, as_json: bool) -> None:
    """Language models: how they are, one message tried out, plans that are kept.

    \b
    answerback-hub models                                  every node: up or down, speed, queue, errors
    answerback-hub models test "how full is web-1"         who plans it, what, what policy says, how long it took
    answerback-hub models test "重启 web-1 的 nginx" --as bob --json
    answerback-hub models clear                            forget the plans that were kept
    \b
    A model is a table of hub.toml:
      [models.local]                                       an Ollama server on this machine
      url = "http://127.0.0.1:11434"
      model = "qwen3:4b"
      [models.big]                                         any OpenAI-compatible server: vLLM, llama.cpp, a cloud
      url = "https://models.example.org/v1"
      model = "NAME"
      kind = "openai"
      key_file = "secrets/big"                             mode 0600
    \b
    Figures come from the hub that serves this configuration, where one runs; a health check is made now.
    Exit status: 0, or 1 where models are configured and none is up.
    """
    if context.invoked_subcommand is not None:
        context.obj = config_file
        return
    config = read_config(config_file)
    # Here, not above: the models' libraries take a second to load, and the small commands need none of them.
    from hub.cli.model_report import build_report, format_report
    from hub.log import logging_disabled

    with logging_disabled():
        report = asyncio.run(build_report(config))
    if as_json:
        click.echo(json.dumps(report))
    else:
        for line in format_report(report):
            click.echo(line)
    if report["nodes"] and not any(node["up"] for node in report["nodes"]):
        sys.exit(1)


@models_group.command("test", short_help="Try a message: planner, plan, verdict, latency by stage.")
@click.argument("message")
@click.option("--as", "person", metavar="PERSON", default="", help="a person of this hub; else a plain operator")
@click.option("--fresh", is_flag=True, help="ask a model even where the plan is kept")
@click.option("--json", "as_json", is_flag=True, help="one JSON object")
@config_option
def test_command(config: HubConfig, message: str, person: str, fresh: bool, as_json: bool) -> None:
    """Say who would plan MESSAGE, what, what policy says to it, and how long each stage took. Nothing is run.

    \b
    answerback-hub models test "disk on web-1"
    answerback-hub models test "why is web-1 slow?" --as bob --fresh
    \b
    Stages: match (commands, acts, runbooks), recall (plans kept), prompt, line (until a node takes it), first (until
    its first token), answer (until its last).
    Exit status: 0 it is planned or answered, 1 it is not understood, 3 policy denies it.
    """
    from hub.cli.model_trial import format_trial, run_trial
    from hub.log import logging_disabled

    with logging_disabled():
        trial = asyncio.run(run_trial(config, message, person, fresh=fresh))
    if as_json:
        click.echo(json.dumps(trial, ensure_ascii=True))
    else:
        for line in format_trial(trial):
            click.echo(line)
    if trial.get("verdict") == "deny":
        sys.exit(3)
    if trial["outcome"] not in ("plan", "answer", "question", "act"):
        sys.exit(1)


@models_group.command("clear", short_help="Forget the plans that are kept.")
@click.option("--json", "as_json", is_flag=True, help="one JSON object")
@config_option
def clear_command(config: HubConfig, as_json: bool) -> None:
    """Forget the plans that models made before, on disk at once and in a serving hub within two seconds.

    \b
    answerback-hub models clear

    A plan is never used for another policy, other machines, runbooks or models than it was made for: this is for when a
    model should have another try at the same question.
    """
    from hub.cli.model_trial import clear_cache

    count = clear_cache(config, time.time())
    click.echo(json.dumps({"cleared": count}) if as_json else f"{count} plans are forgotten")


add_secret_commands(models_group, "models", model_files, "")
