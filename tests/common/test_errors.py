"""Errors: what a person is shown, and how a program ends."""

from __future__ import annotations

from common.errors import EXIT_FAILED, EXIT_OK, EXIT_REFUSED, EXIT_USAGE, Denied, UserError, WorkFailed


def test_an_error_names_the_thing_and_the_cure() -> None:
    """Both parts are there for programs, and one line for people."""
    error = UserError("hub.toml: no such file", "run answerback-hub init first")
    assert str(error) == "hub.toml: no such file: run answerback-hub init first"
    assert (error.problem, error.cure) == ("hub.toml: no such file", "run answerback-hub init first")


def test_an_error_without_a_cure_is_its_problem() -> None:
    """Nothing is glued on where there is nothing to say."""
    assert str(UserError("the port is taken")) == "the port is taken"


def test_exit_codes_are_the_published_ones() -> None:
    """Scripts rely on them: 0 done, 1 the work failed, 2 wrong usage or configuration, 3 refused."""
    assert (EXIT_OK, EXIT_FAILED, EXIT_USAGE, EXIT_REFUSED) == (0, 1, 2, 3)
    assert [kind("x").exit_code for kind in (UserError, WorkFailed, Denied)] == [2, 1, 3]


def test_one_except_catches_all_of_them() -> None:
    """The command lines catch UserError and nothing else."""
    assert issubclass(WorkFailed, UserError)
    assert issubclass(Denied, UserError)
