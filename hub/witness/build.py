"""The witnesses of a configuration."""

from __future__ import annotations

from collections.abc import Callable

from common.read_file import read_secret
from hub.chat.compose import ReplyComposer
from hub.config import HubConfig
from hub.core.sigv4 import AccessKey
from hub.identity.keys import HubKeys
from hub.store.store import Store
from hub.witness.file import WitnessFile
from hub.witness.places import ChatPlace, FilePlace, Place, S3Place, Signed, SyslogPlace, WebhookPlace
from hub.witness.service import Witnesses
from hub.witness.signer import CheckpointSigner


def build_witnesses(
    config: HubConfig,
    keys: HubKeys,
    store: Store,
    composer: ReplyComposer,
    wake: Callable[[], None],
    clock: Callable[[], float],
) -> Witnesses:
    """`wake` has the outbox looked at. The audit's key was made at the start of this process, where there was none."""
    audit = config.audit
    key = keys.audit.key
    assert key is not None  # noqa: S101 - as above
    signed, file = Signed(keys.hub_id, key), WitnessFile(audit.file, keys.hub_id)
    near: list[Place] = [FilePlace(file, signed)]
    far: list[Place] = []
    if audit.syslog is not None:
        near.append(SyslogPlace(audit.syslog, signed))
    if audit.chat is not None:
        far.append(ChatPlace(audit.chat, store, composer, signed, wake))
    made = Witnesses(
        store=store,
        signer=CheckpointSigner(key, keys.hub_id, file.last),
        before=keys.job_key,
        near=near,
        far=far,
        every=audit.every,
        clock=clock,
    )
    if audit.webhook is not None:
        token = read_secret(audit.webhook_token_file).strip() if audit.webhook_token_file is not None else b""
        made.add_far(WebhookPlace(audit.webhook, token, signed, made.open_session))
    if audit.s3 is not None and audit.s3_key_file is not None:
        name, secret = (line.strip() for line in read_secret(audit.s3_key_file).decode().splitlines() if line.strip())
        access = AccessKey(name, secret)
        made.add_far(S3Place(audit.s3, access, audit.s3_region, audit.s3_retain, signed, made.open_session))
    return made
