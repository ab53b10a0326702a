"""Our own words coming back: a few are let through, a loop is not, and it ends by itself."""

from hub.core.echo_guard import ALLOWED_ECHOES, MAX_CONVERSATIONS, REPLY_TTL, EchoGuard

SAID = "r12 done: `uptime` on web-1 in 9 ms"


def check(guard: EchoGuard, text: str, now: float, user: str = "bridge", room: str = "c") -> str:
    return guard.check("ops", room, user, text, now)


def test_a_loop_is_told_once_and_ends_when_it_stops() -> None:
    guard = EchoGuard()
    guard.note_reply("ops", "c", SAID, 100.0)
    echoes = [check(guard, SAID, 100.0 + number) for number in range(6)]
    assert echoes == ["ok"] * int(ALLOWED_ECHOES) + ["first", "braked", "braked"]
    assert check(guard, "@web-1 uptime", 106.0) == "ok"
    guard.note_reply("ops", "c", SAID, 300.0)
    assert check(guard, SAID, 300.0) == "ok"
    assert check(guard, SAID, 100.0 + REPLY_TTL + 300.0) == "ok"


def test_what_bridges_do_to_a_text_does_not_hide_it() -> None:
    for form in (f"> {SAID}", SAID.upper(), f"[bridge] ops said:\n\n{SAID}", SAID.replace("`", ""), SAID * 20):
        guard = EchoGuard()
        guard.note_reply("ops", "c", SAID, 1.0)
        assert [check(guard, form, 1.0) for _ in range(4)][-1] == "first"


def test_others_are_not_held_back() -> None:
    """Another person, another room, a short word that people say too."""
    guard = EchoGuard()
    guard.note_reply("ops", "c", SAID, 1.0)
    guard.note_reply("ops", "c", "done", 1.0)
    for _ in range(9):
        check(guard, SAID, 1.0)
    assert check(guard, SAID, 1.0, user="bob") == "ok"
    assert check(guard, SAID, 1.0, room="d") == "ok"
    assert [check(guard, "done", 1.0) for _ in range(9)] == ["ok"] * 9


def test_what_is_remembered_is_bounded() -> None:
    guard = EchoGuard()
    for number in range(MAX_CONVERSATIONS + 50):
        for _ in range(40):
            guard.note_reply("ops", str(number), SAID * 100, 1.0)
    assert len(guard._replies) == MAX_CONVERSATIONS
