"""Every witness that hub.toml names is there, and the file always."""

from __future__ import annotations

from dataclasses import replace

from hub.witness.build import build_witnesses
from tests.hub.hub_harness import HubHarness


def test_what_is_named_is_built(harness: HubHarness) -> None:
    """With its secrets from their files; without any, signing and the file alone."""

    def names(**audit: object) -> list[str]:
        config = replace(harness.config, audit=replace(harness.config.audit, **audit))  # type: ignore[arg-type]
        made = build_witnesses(config, harness.keys, harness.store, harness.composer, lambda: None, harness.clock)
        return [state.name for state in made.states()]

    assert names() == ["checkpoint", "file"]
    token, access = harness.folder / "secrets" / "token", harness.folder / "secrets" / "s3"
    for path, text in ((token, "t0ken\n"), (access, "an id\n a secret \n\n")):
        path.write_text(text)
        path.chmod(0o600)
    assert names(
        syslog="/dev/log",
        chat="ops:room",
        webhook="https://witness.example.org/",
        webhook_token_file=token,
        s3="https://s3.example.org/b",
        s3_key_file=access,
    ) == ["checkpoint", "file", "syslog", "chat", "webhook", "s3"]
