"""The reader of pictures, as hub.toml wants it."""

from __future__ import annotations

from hub.config import HubConfig
from hub.planning.ocr.protocol import WorkerSettings
from hub.planning.ocr.reader import OcrLimits, OcrService, is_installed


def build_image_reader(config: HubConfig) -> OcrService | None:
    """What reads pictures; None where it is not wanted, or the extra `ocr` is not installed."""
    table = config.ocr
    if not table.read or not is_installed():
        return None
    child = WorkerSettings(size=table.size, pixels=table.pixels, memory=table.memory, seconds=table.timeout)
    return OcrService(OcrLimits(workers=table.children, queue=table.queue, idle=table.idle, worker=child))
