"""Signs one request to an S3-like store: AWS Signature Version 4, in headers. Pure.

A protocol over SHA-256 and HMAC of the standard library, as its documentation has it ("Authenticating Requests: Using
the Authorization Header"); the requests and signatures printed there are its test.
"""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Mapping
from typing import Final, NamedTuple
from urllib.parse import quote, urlsplit

_ALGORITHM: Final = "AWS4-HMAC-SHA256"


class AccessKey(NamedTuple):
    id: str
    secret: str


def amz_date(now: float) -> str:
    """`20130524T000000Z`, as `x-amz-date` has it."""
    return time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now))


def sign_request(
    method: str, url: str, headers: Mapping[str, str], body: bytes, key: AccessKey, region: str, now: float
) -> dict[str, str]:
    """All headers of the request, those that sign it added. `url` is as it is sent: its path is percent-encoded, and it
    has no query.
    """
    parts = urlsplit(url)
    date, digest = amz_date(now), hashlib.sha256(body).hexdigest()
    signed = {name.lower(): " ".join(value.split()) for name, value in headers.items()}
    signed |= {"host": parts.netloc, "x-amz-date": date, "x-amz-content-sha256": digest}
    names = ";".join(sorted(signed))
    lines = "".join(f"{name}:{signed[name]}\n" for name in sorted(signed))
    request = f"{method}\n{parts.path or '/'}\n{parts.query}\n{lines}\n{names}\n{digest}"
    scope = f"{date[:8]}/{region}/s3/aws4_request"
    text = f"{_ALGORITHM}\n{date}\n{scope}\n{hashlib.sha256(request.encode()).hexdigest()}"
    step = f"AWS4{key.secret}".encode()
    for word in (date[:8], region, "s3", "aws4_request"):
        step = hmac.digest(step, word.encode(), "sha256")
    signature = hmac.new(step, text.encode(), "sha256").hexdigest()
    authorization = f"{_ALGORITHM} Credential={key.id}/{scope},SignedHeaders={names},Signature={signature}"
    return {**signed, "authorization": authorization}


def object_path(text: str) -> str:
    """A key as it stands in a URL's path."""
    return quote(text, safe="/-_.~")
