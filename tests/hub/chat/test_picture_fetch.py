"""Pictures that are fetched after the commit: what is called, what is taken, what is tried again, and what never is."""

from __future__ import annotations

import asyncio

import pytest
from structlog.testing import capture_logs

from hub.chat.inlets import Inlet
from hub.chat.picture_fetch import MAX_AT_ONCE, MAX_MESSAGES, MAX_PAUSE, TRIES, PictureFetcher
from hub.chat.platforms.base import MAX_PICTURES, BadBody, HttpCall, PictureRef
from hub.chat.platforms.generic import GenericPlatform
from hub.chat.platforms.outbound import OutboundFailed
from hub.chat.platforms.pictures import MAX_PICTURE, PictureFailed, PictureFetch, picture_call
from tests.hub.chat.picture_chat import PNG, TOKEN, Album, AlbumPlatform, album, inlets_of

Found = bytes | PictureFailed


class Fetcher(PictureFetcher):
    """With pauses that are noted and take no time."""

    def __init__(self, platform: AlbumPlatform, seconds: float = 60.0, draw: float = 0.5) -> None:
        self.pauses: list[float] = []
        super().__init__(
            inlets_of(platform), lambda: 1_800_000_000.0, pause=self.note, draw=lambda: draw, seconds=seconds
        )

    async def note(self, seconds: float) -> None:
        self.pauses.append(seconds)

    async def of(self, *names: str) -> list[Found]:
        return await self.fetch("ops", [PictureRef(name) for name in names])

    async def one(self, name: str) -> Found:
        (found,) = await self.of(name)
        return found


def kind_of(found: Found) -> str:
    return found.kind if isinstance(found, PictureFailed) else "picture"


def asked(chat: Album) -> list[str]:
    return [name for name, _ in chat.asked]


async def test_pictures_are_fetched_in_their_order_with_the_token() -> None:
    async with album() as chat:
        fetcher = Fetcher(AlbumPlatform(chat.root))
        assert await fetcher.of("a", "wide", "full") == [PNG, b"RIFF    WEBP", PNG + bytes(MAX_PICTURE - len(PNG))]
        assert chat.asked == [("a", TOKEN), ("wide", TOKEN), ("full", TOKEN)]
        assert fetcher.pauses == []


@pytest.mark.parametrize(
    ("name", "kind", "times"),
    [
        ("big", "too_big", 1),
        ("html", "not_picture", 1),  # though its type says image/png
        ("gone", "gone", 1),
        ("forbidden", "refused", 1),
        ("cut", "later", TRIES),
        ("slow", "later", TRIES),
        ("forever", "later", 6 * TRIES),
    ],
)
async def test_what_is_no_picture_is_told_apart(name: str, kind: str, times: int) -> None:
    """Only what may go better later is asked for again, and not for ever."""
    async with album() as chat:
        fetcher = Fetcher(AlbumPlatform(chat.root, seconds=0.1 if name == "slow" else 10.0))
        assert kind_of(await fetcher.one(name)) == kind
        assert len(chat.asked) == times or name == "slow"
        assert len(fetcher.pauses) == (TRIES - 1 if kind == "later" else 0)


async def test_a_failure_of_the_moment_is_tried_again_when_the_platform_says() -> None:
    """Its Retry-After is heard, up to a bound; else the pause is drawn and grows."""
    async with album() as chat:
        chat.failing = 2
        fetcher = Fetcher(AlbumPlatform(chat.root))
        assert await fetcher.one("flaky") == PNG
        assert fetcher.pauses == [7.0, 7.0]
    fetcher = Fetcher(AlbumPlatform("http://127.0.0.1:9"))
    assert kind_of(await fetcher.one("nobody-listens")) == "later"
    assert fetcher.pauses == [1.0, 2.0]

    class Patient(AlbumPlatform):
        def fetch(self, picture: PictureRef, now: float) -> PictureFetch:
            raise PictureFailed("wait", "later", 86_400.0)
            yield

    fetcher = Fetcher(Patient("http://127.0.0.1:9"))
    assert kind_of(await fetcher.one("x")) == "later"
    assert fetcher.pauses == [MAX_PAUSE, MAX_PAUSE]


async def test_what_is_declared_to_be_none_is_not_even_asked_for() -> None:
    """Too big, or of another type. A declaration that lies is found out: see the test before."""
    async with album() as chat:
        refs = [
            PictureRef("a", "", MAX_PICTURE + 1),
            PictureRef("b", "application/pdf", 10),
            PictureRef("c", "image/png", 5),
        ]
        found = await Fetcher(AlbumPlatform(chat.root)).fetch("ops", refs)
        assert [kind_of(one) for one in found] == ["too_big", "not_picture", "picture"]
        assert asked(chat) == ["c"]


async def test_only_the_first_few_of_a_message_are_fetched() -> None:
    async with album() as chat:
        found = await Fetcher(AlbumPlatform(chat.root)).of(*(f"n{n}" for n in range(MAX_PICTURES + 2)))
        assert [kind_of(one) for one in found] == ["picture"] * MAX_PICTURES + ["too_many"] * 2
        assert len(chat.asked) == MAX_PICTURES


async def test_no_other_host_is_called_and_no_redirect_followed() -> None:
    """Not what a message or an answer names, not what is listed for replies, not by a redirect."""
    async with album() as chat, album() as other:
        chat.elsewhere = f"{other.root}/files/a"
        fetcher = Fetcher(AlbumPlatform(chat.root))
        for name in ("away", f"via {other.root}/files/a", f"told {other.root}/files/a"):
            assert kind_of(await fetcher.one(name)) == "refused", name
        assert other.asked == []
        assert asked(chat) == ["away"]
        for url in ("https://127.0.0.1.evil.example/x", "http://169.254.169.254/latest", "file:///etc/passwd",
                    f"http://user@127.0.0.1:{chat.port}/files/a", f"{chat.root}/files/a#b", "not a url"):  # fmt: skip
            assert kind_of(await fetcher.one(f"via {url}")) == "refused", url
        assert asked(chat) == ["away"]


async def test_the_token_goes_only_where_the_platform_says() -> None:
    """A plain host gets a bare GET. A call that would carry more is not made, whoever wrote it."""
    async with album() as chat, album() as files:
        platform = AlbumPlatform(chat.root)
        platform.plain_hosts = (files.root,)
        fetcher = Fetcher(platform)
        assert await fetcher.one(f"via {files.root}/files/a") == PNG
        assert files.asked == [("a", "")]
        assert kind_of(await fetcher.one(f"told {files.root}/files/b")) == "refused"
        assert files.asked == [("a", "")]
        platform.token_hosts = (files.root,)
        assert await fetcher.one(f"told {files.root}/files/c") == PNG
        assert files.asked == [("a", ""), ("c", TOKEN)]


async def test_a_message_has_so_much_time_for_its_pictures() -> None:
    """Then it is planned without those that are missing."""
    async with album() as chat:
        fetcher = Fetcher(AlbumPlatform(chat.root), seconds=0.05)
        found = await fetcher.of("slow", "b")
        assert [str(one) for one in found] == ["not fetched within 0.05 s"] * 2
        assert fetcher.pauses == []
        assert "b" not in asked(chat)


async def test_so_many_at_a_time_of_one_inlet() -> None:
    async with album() as chat:
        chat.hold = asyncio.Event()
        fetcher = Fetcher(AlbumPlatform(chat.root, seconds=30.0))
        async with asyncio.TaskGroup() as tasks:
            waiting = [tasks.create_task(fetcher.one("held")) for _ in range(MAX_AT_ONCE + 3)]
            slots = fetcher._slots
            while len(chat.asked) < MAX_AT_ONCE:
                await asyncio.sleep(0)
            assert slots["ops"].locked()
            assert len(chat.asked) == MAX_AT_ONCE
            chat.hold.set()
        assert [await one for one in waiting] == [PNG] * (MAX_AT_ONCE + 3)


async def test_a_chat_that_does_not_answer_holds_up_no_other() -> None:
    """So many of its messages may wait; the next one is planned at once, and told so."""
    async with album() as chat:
        chat.hold = asyncio.Event()
        fetcher = Fetcher(AlbumPlatform(chat.root, seconds=30.0))
        async with asyncio.TaskGroup() as tasks:
            waiting = [tasks.create_task(fetcher.one("held")) for _ in range(MAX_MESSAGES)]
            while len(chat.asked) < MAX_AT_ONCE:
                await asyncio.sleep(0)
            assert kind_of(await fetcher.one("held")) == "later"
            assert asked(chat) == ["held"] * MAX_AT_ONCE
            chat.hold.set()
        assert [await one for one in waiting] == [PNG] * MAX_MESSAGES
        assert await fetcher.one("a") == PNG


async def test_whatever_a_platform_raises_is_a_picture_that_was_not_had() -> None:
    """A refused token, an answer that cannot be read, a fault of its own."""

    class Odd(AlbumPlatform):
        def fetch(self, picture: PictureRef, now: float) -> PictureFetch:
            match picture.name:
                case "token":
                    raise OutboundFailed("the token is refused", "token")
                case "body":
                    raise BadBody("file: must be there")
                case "long":
                    yield picture_call(HttpCall(f"{self.api}/files/big", b"", method="GET"))
                case "text":
                    return "no bytes"  # type: ignore[return-value]
            return (yield from super().fetch(picture, now))

    async with album() as chat:
        fetcher = Fetcher(Odd(chat.root))
        for name, kind in {
            "token": "refused", "body": "later", "long": "too_big", "text": "refused", "fault x": "refused"
        }.items():  # fmt: skip
            assert kind_of(await fetcher.one(name)) == kind, name


async def test_the_log_says_why_and_no_secret() -> None:
    """Neither the name of a picture, which may be a URL that is a secret, nor the token."""
    async with album() as chat:
        with capture_logs() as lines:
            await Fetcher(AlbumPlatform(chat.root)).of("via https://elsewhere.example/a?sig=s3cret", "gone")
        assert [(line["event"], line["kind"]) for line in lines] == [
            ("picture.not_fetched", "refused"),
            ("picture.not_fetched", "gone"),
        ]
        assert "elsewhere.example" in lines[0]["reason"]
        assert "s3cret" not in str(lines)
        assert TOKEN not in str(lines)
    assert "s3cret" not in repr(PictureRef("https://elsewhere.example/a?sig=s3cret"))


async def test_an_inlet_that_went_or_fetches_none() -> None:
    plain = {"ops": Inlet("ops", GenericPlatform([b"a secret of some length"]))}
    fetcher = PictureFetcher(plain, lambda: 0.0)
    for name in ("ops", "gone"):
        found = await fetcher.fetch(name, [PictureRef("a")])
        assert [kind_of(one) for one in found] == ["refused"]
