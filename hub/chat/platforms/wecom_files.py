"""Pictures that members send to a WeCom app: MediaId, which the API has for three days. Pure.

Where it does not hand one out, the answer is JSON with an `errcode`, also with the status 200.
https://developer.work.weixin.qq.com/document/path/90254
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Mapping
from typing import Final
from urllib.parse import quote

from hub.chat.platforms.base import HttpCall, HttpResponse, PictureRef
from hub.chat.platforms.fields import answer_object
from hub.chat.platforms.outbound import OutboundCall
from hub.chat.platforms.pictures import PictureFailed, PictureFetch, picture_call, picture_of

Authorize = Callable[[float], Generator[OutboundCall, HttpResponse, str]]
"""The calls that lead to an access token, and the token."""
_MEDIA: Final = re.compile(r"[\w@.-]{1,500}", re.ASCII)
_GONE: Final = frozenset({40004, 40007, 40058, 41006})


def read_picture(fields: Mapping[str, str]) -> PictureRef | None:
    """The picture of a callback of the kind `image`; None where it names none."""
    media = fields.get("MediaId", "")
    return PictureRef(media) if _MEDIA.fullmatch(media) else None


class WecomPictures:
    """The `PictureSource` of one app."""

    token_hosts: tuple[str, ...] = ()
    plain_hosts: tuple[str, ...] = ()

    def __init__(
        self,
        api: str,
        authorize: Authorize,
        forget: Callable[[str], None],
        bad_token: frozenset[int],
        busy: frozenset[int],
        cures: Mapping[int, str],
    ) -> None:
        """`forget` hears of a token that was refused, with one of the codes of `bad_token`."""
        self._api = api
        self._authorize = authorize
        self._forget = forget
        self._bad_token, self._busy, self._cures = bad_token, busy, cures

    def fetch(self, picture: PictureRef, now: float) -> PictureFetch:
        code = 0
        for _ in range(2):
            token = yield from self._authorize(now)
            query = f"access_token={quote(token, safe='')}&media_id={quote(picture.name, safe='')}"
            answer = yield picture_call(HttpCall(f"{self._api}/cgi-bin/media/get?{query}", b"", method="GET"))
            code = _code_of(answer)
            if code not in self._bad_token:
                break
            self._forget(token)
        if code == 0:
            return picture_of(answer)
        if code in _GONE:
            raise PictureFailed(f"WeCom does not have it any more ({code})", "gone")
        cure = self._cures.get(code)
        said = f"WeCom: {cure} ({code})" if cure else f"WeCom refused it with error {code}"
        raise PictureFailed(said, "later" if code in self._busy else "refused")


def _code_of(answer: HttpResponse) -> int:
    """The error of an answer; 0 where it has none that can be read, as a picture has not."""
    if not answer.body.lstrip().startswith(b"{"):
        return 0
    code = answer_object(answer).get("errcode")
    return code if type(code) is int else 0
