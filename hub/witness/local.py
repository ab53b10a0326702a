"""A checkpoint by a command that has changed something beside the hub, or while none serves."""

from __future__ import annotations

from typing import Final

from common.errors import UserError
from hub.config import HubConfig
from hub.identity.keys import HubKeys
from hub.store.store import Store
from hub.witness.file import WitnessFile
from hub.witness.signer import PAGE, CheckpointSigner, Refused

MAX_ROWS: Final = 20_000
"""Events that a command reads for it; a hub that serves signs more soon enough."""


def sign_beside(store: Store, config: HubConfig, keys: HubKeys, now: float) -> str:
    """Signs what is there and notes it in the file; returns why not, "" where it is done or is not this one's to do."""
    key, hub = keys.audit.key, keys.hub_id
    if key is None:
        return ""
    file = WitnessFile(config.audit.file, hub)
    signer = CheckpointSigner(key, hub, file.last)
    try:
        store.write_now(lambda txn: signer.announce(txn, keys.job_key, now))
        for _ in range(MAX_ROWS // PAGE):
            if not store.read_now(signer.advance):
                break
        else:
            return ""
        mark = store.write_now(lambda txn: signer.sign(txn, now))
        if mark is not None:
            newest = file.last()
            if newest is None or newest.seq != mark.seq:
                file.append(mark, key.public)
    except (Refused, UserError) as error:
        return str(error)
    except OSError as error:
        return f"{file.path}: {error.strerror or error}"
    return ""
