"""Tests mirror the source: whoever looks for the test of a module, or the module of a test, knows where it is.

`hub/store/transaction.py` is tested in `tests/hub/store/test_transaction.py`. Modules under forty lines
need no test of their own.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("common", "hub", "agent", "tui")
SMALL = 40

ELSEWHERE = {
    "end_to_end": "whole programs",
    "bench": "measurements",
    "systemd": "the units, which are no Python",
    "faults": "faults put into whole systems",
    "canaries": "the default policy on a machine full of secrets",
    "models": "a real model, where one is installed",
}
"""Folders of tests that mirror no package, and what they test."""

ASPECTS = {
    "tests/hub/engine/test_forged_rows.py": "hub/core/row_mac.py",
    "tests/hub/engine/test_shown_first.py": "hub/engine/chat_actions.py",
    "tests/agent/runner/test_app_captured_hub.py": "agent/runner/app.py",
    "tests/agent/runner/test_app_sick_disk.py": "agent/runner/app.py",
    "tests/agent/runner/test_app_crashpoints.py": "agent/runner/app.py",
    "tests/common/test_values_entrances.py": "common/values.py",
    "tests/hub/engine/test_chat_actions_roles.py": "hub/engine/chat_actions.py",
    "tests/hub/planning/test_client_marks.py": "hub/planning/reading.py",
    "tests/hub/planning/runbooks/test_matcher_phrasings.py": "hub/planning/runbooks/matcher.py",
    "tests/tui/demo/test_world_hour.py": "tui/demo/world.py",
    "tests/tui/dialogs/test_approve_answers.py": "tui/dialogs/approve.py",
    "tests/tui/dialogs/test_approve_signing.py": "tui/dialogs/approve.py",
    "tests/tui/dialogs/test_dialog_every.py": "tui/dialogs/dialog.py",
    "tests/tui/screens/test_base_sizes.py": "tui/screens/base.py",
    "tests/tui/test_app_faults.py": "tui/app.py",
    "tests/tui/test_app_hands.py": "tui/app.py",
    "tests/tui/test_app_states.py": "tui/app.py",
    "tests/tui/dialogs/test_flows_every.py": "tui/dialogs/flows.py",
    "tests/tui/test_hostile_screens.py": "tui/terminal/sanitize.py",
    "tests/tui/test_hostile_terminal.py": "tui/terminal/sanitize.py",
    "tests/tui/widgets/test_output_reading.py": "tui/widgets/output.py",
    "tests/tui/widgets/test_table_repaint.py": "tui/widgets/table.py",
}
"""Tests of one aspect of a module that has its own test beside them."""

WITHOUT_TEST = {
    "common/link/messages.py": "values without behaviour; test_bodies.py takes each to its body and back",
    "hub/chat/one_time_links.py": "test_confirm_links.py and test_passkey_links.py have both kinds",
    "hub/chat/one_time_page.py": "test_confirm_page.py and test_passkey_page.py drive both over HTTP",
    "hub/base.py": "put together in test_parts.py, and by every test of a whole hub",
    "hub/core/records.py": "values without behaviour; every test of the hub makes some",
    "hub/store/key_schema.py": "tables; tests/hub/store/test_schema.py holds them to their records",
    "hub/store/migrations/versions/0001_first.py": "Alembic runs it; tests/hub/store/test_migrate.py runs Alembic",
    "hub/store/migrations/versions/0002_console.py": "as the one before",
    "hub/store/migrations/versions/0003_models.py": "as the ones before",
    "hub/store/migrations/versions/0011_approval_proofs.py": "as the ones before",
    "hub/store/migrations/versions/0015_at_rest.py": "as the ones before; test_conversion.py has its triggers",
    "hub/store/migrations/versions/0016_approver_keys.py": "as the ones before",
    "hub/store/transaction.py": "the repositories together; every test of the store uses it",
}
"""Modules of forty lines or more that have no test of their own, each with its reason."""


def mirror_of(module: str) -> str:
    """`hub/store/transaction.py` -> `tests/hub/store/test_transaction.py`."""
    path = Path(module)
    return str(Path("tests") / path.parent / f"test_{path.name}")


def module_of(test: str) -> str:
    """`tests/hub/store/test_transaction.py` -> `hub/store/transaction.py`."""
    path = Path(test).relative_to("tests")
    return str(path.parent / path.name.removeprefix("test_"))


def without_test(modules: Iterable[tuple[str, int]], tests: set[str]) -> list[str]:
    """Of modules with their line counts, those that should have a test and have none."""
    return [
        module
        for module, lines in modules
        if lines >= SMALL
        and Path(module).name not in ("__init__.py", "__main__.py")
        and module not in WITHOUT_TEST
        and mirror_of(module) not in tests
    ]


def found_modules() -> list[tuple[str, int]]:
    """Every module of the four packages with its number of lines."""
    paths = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]
    return [(str(path.relative_to(ROOT)), len(path.read_text(encoding="utf-8").splitlines())) for path in paths]


def found_tests() -> set[str]:
    return {str(path.relative_to(ROOT)) for path in (ROOT / "tests").rglob("test_*.py")}


def test_every_module_has_its_test() -> None:
    """Every module of forty lines or more in the four packages, but for the exceptions above."""
    missing = without_test(found_modules(), found_tests())
    listed = "\n".join(f"    {module} -> {mirror_of(module)}" for module in missing)
    assert not missing, f"{len(missing)} modules without their test:\n{listed}"


def test_every_test_has_its_module() -> None:
    """A test that mirrors nothing is in the wrong place, or its module has moved."""
    lost = []
    for test in sorted(found_tests()):
        parts, module = Path(test).parts, ASPECTS.get(test) or module_of(test)
        if len(parts) > 2 and parts[1] not in ELSEWHERE and not (ROOT / module).exists():
            lost.append(f"    {test} -> {module_of(test)}")
    assert not lost, "tests without their module:\n" + "\n".join(lost)


def test_every_exception_is_still_needed() -> None:
    """An exception for a module that is gone, small, or tested after all is taken out of the table."""
    lines = dict(found_modules())
    stale = [module for module in WITHOUT_TEST if lines.get(module, 0) < SMALL or mirror_of(module) in found_tests()]
    assert not stale, f"no longer exceptions: {stale}"


def test_the_names_map_both_ways() -> None:
    """And a module without its test is found, so that the checks above can fail."""
    assert mirror_of("hub/store/transaction.py") == "tests/hub/store/test_transaction.py"
    assert module_of("tests/hub/store/test_transaction.py") == "hub/store/transaction.py"
    assert module_of("tests/common/test_text.py") == "common/text.py"
    given = [
        ("hub/a.py", 40),
        ("hub/b.py", 39),
        ("hub/c/__init__.py", 90),
        ("hub/d.py", 90),
        ("hub/core/records.py", 90),
    ]
    assert without_test(given, {"tests/hub/test_d.py"}) == ["hub/a.py"]
