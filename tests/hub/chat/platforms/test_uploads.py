"""What platforms with uploads have in common."""

from __future__ import annotations

from hub.chat.platforms.base import CardGone, Delivered, DeliveryFailed
from hub.chat.platforms.registry import built_in, implementation
from hub.chat.platforms.uploads import UploadRefused, Uploads, as_upload
from hub.chat.platforms.wecom_bot import WecomBot


def test_who_takes_files() -> None:
    takes = {name for name, kind in built_in().items() if issubclass(implementation(kind) or int, Uploads)}
    assert not issubclass(WecomBot, Uploads), "an AI bot has words alone"
    assert takes == {"discord", "feishu", "matrix", "mattermost", "slack", "telegram", "wecom"}


def test_what_is_refused_for_good_is_said_in_words() -> None:
    """And what may pass is tried again."""
    assert as_upload(Delivered("m1")) == Delivered("m1")
    assert as_upload(DeliveryFailed("busy", "later", "3")) == DeliveryFailed("busy", "later", "3")
    assert as_upload(DeliveryFailed("no room", "refused")) == UploadRefused("no room")
    assert as_upload(DeliveryFailed("no channel", "gone")) == UploadRefused("no channel")
    assert isinstance(as_upload(CardGone("odd")), DeliveryFailed)
