"""Secrets of the usual forms do not get through; what commands are made of does."""

from __future__ import annotations

import time

from hypothesis import given
from hypothesis import strategies as st

from hub.planning.llm.redact import SECRET, redact
from tests.each import each_of

CANARY = "cAnArY7x9Qz"
HIDDEN = [
    f"password: {CANARY}",
    f"the password is {CANARY}",
    f"db_password={CANARY}",
    f"密码是{CANARY}",
    f"密码：{CANARY}",
    f"口令为 {CANARY}",
    f"API_KEY={CANARY}",
    f"api-key: '{CANARY}'",
    f"curl -H 'Authorization: Bearer {CANARY}aaaaaaaa'",
    f"mysql --password {CANARY} -h db",
    f"mysql --password={CANARY}",
    f"postgres://app:{CANARY}@db-1/app",
    f"https://user:{CANARY}@example.org/x",
    f"AKIA{CANARY.upper()}ABCD1234",
    f"ghp_{CANARY}aaaaaaaaaaaaaaaaaaaa",
    f"sk-{CANARY}aaaaaaaaaaaa",
    f"xoxb-{CANARY}-aaaaaaaa",
    f"glpat-{CANARY}aaaaaaaa",
    f"eyJhbGciOiJIUzI1NiJ9.eyJ{CANARY}.c2lnbmF0dXJl",
    f"-----BEGIN RSA PRIVATE KEY-----\nMII{CANARY}\n-----END RSA PRIVATE KEY-----",
    f"-----BEGIN OPENSSH PRIVATE KEY-----\nMII{CANARY}",
    f"here it is: {CANARY}aB3dE5gH7jK9mN1pQ3sT5vW7yZ",
    f"secret = {CANARY}; and go on",
    f"token={CANARY}",
]
KEPT = [
    "show me the last 20 lines of /var/log/nginx/error.log on web-1",
    "git show 3f786850e387550fdab836ed7e6dc881de23001b",
    "sha256 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "what is the password policy on web-1",
    "重启 web-1 上的 nginx",
    "restart the token service on web-1",
    "/srv/app/releases/2026-11-22T10-00-00Z/current/config/settings.yml",
    "https://example.org/path?x=1",
    "user 1000:1000 on port 8080",
]


@each_of("text", HIDDEN)
def test_a_secret_is_taken_out(text: str) -> None:
    """Each of its forms leaves its mark, and nothing of itself."""
    assert CANARY.casefold() not in redact(text).casefold()
    assert SECRET in redact(text)


@each_of("text", KEPT)
def test_what_is_no_secret_stays(text: str) -> None:
    """Word for word: a digest, a path, a question about passwords."""
    assert redact(text) == text


def test_a_second_factors_code_is_a_secret() -> None:
    """As in what is stored of a message."""
    assert "123456" not in redact("approve r42 123456")


@given(st.text(max_size=300))
def test_twice_is_once(text: str) -> None:
    """Nothing of what was put in place of a secret looks like one."""
    assert redact(redact(text)) == redact(text)


@each_of(
    "text",
    ["a" * 16_000, "aA1" * 5_000, "password=" * 1_700, "eyJ" + "a." * 8_000, "://" * 5_000, "-----BEGIN " * 1_400],
)
def test_the_work_is_bounded(text: str) -> None:
    """Repetition does not blow it up."""
    begun = time.process_time()
    redact(text)
    assert time.process_time() - begun < 1.0
