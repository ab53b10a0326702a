"""Against the requests that the protocol's own documentation prints with their signatures."""

from __future__ import annotations

from hub.core.sigv4 import AccessKey, amz_date, object_path, sign_request

KEY = AccessKey("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")  # of the documentation
AT = 1369353600.0  # Fri, 24 May 2013 00:00:00 GMT
HOST = "https://examplebucket.s3.amazonaws.com"


def test_the_documented_requests() -> None:
    """GET Object with a range, PUT Object with a storage class, and their lists of headers that are signed."""
    assert amz_date(AT) == "20130524T000000Z"
    put = sign_request(
        "PUT",
        f"{HOST}/{object_path('test$file.text')}",
        {"Date": "Fri, 24 May 2013 00:00:00 GMT", "x-amz-storage-class": "REDUCED_REDUNDANCY"},
        b"Welcome to Amazon S3.",
        KEY,
        "us-east-1",
        AT,
    )
    assert put["authorization"] == (
        "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,"
        "SignedHeaders=date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class,"
        "Signature=98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"
    )
    got = sign_request("GET", f"{HOST}/test.txt", {"Range": "bytes=0-9"}, b"", KEY, "us-east-1", AT)
    assert got["authorization"].endswith("f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41")


def test_everything_that_is_sent_is_signed() -> None:
    """A header, the body, the path, the time or the key: each changes the signature; the secret is not in it."""

    def signature(url: str = f"{HOST}/a", body: bytes = b"b", at: float = AT, key: AccessKey = KEY, **more: str) -> str:
        return sign_request("PUT", url, more, body, key, "eu-1", at)["authorization"]

    assert signature() == signature()
    others = {
        signature(f"{HOST}/b"),
        signature(body=b"c"),
        signature(at=AT + 1),
        signature(key=KEY._replace(secret="other")),
        signature(lock="x"),
    }
    assert len(others | {signature()}) == 6
    assert KEY.secret not in repr(signature())
