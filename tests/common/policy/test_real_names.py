"""common.policy.real_names"""

from __future__ import annotations

import pytest

from common.policy.machine_checks import NO_CHECKS, DeniedPrograms, MachineChecks
from common.policy.real_names import plain_names, real_name_objection, same_place


def objection(asked: str, real: str, denied: str = "", permitted: str = "") -> str:
    words = frozenset(denied.split())
    programs = frozenset(word for word in words if "/" in word)
    checks = MachineChecks(DeniedPrograms(words - programs, programs), frozenset(permitted.split()))
    return real_name_objection(asked, real, (("the policy", checks), ("another", NO_CHECKS)))


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("python3.11", "python"),
        ("vim.basic", "vim"),
        ("bash-static", "bash"),
        ("busybox.static", "busybox"),
        ("perl5.36-x86_64-linux-gnu", "perl"),
        ("nc.openbsd", "nc"),
        ("zsh-5.9", "zsh"),
        ("lua5.4", "lua"),
        ("Python3", "python"),
        ("gawk-5.1.0", "gawk"),
        ("vim.gtk3", "vim"),
        ("apt-get", "apt-get"),
    ],
)
def test_a_version_and_a_flavour_do_not_hide_a_name(name: str, plain: str) -> None:
    """What distributions put behind the name of a program."""
    assert plain in plain_names(f"/usr/bin/{name}")
    assert plain == name or plain not in (name,)
    assert "apt" not in plain_names("/usr/bin/apt-get")


@pytest.mark.parametrize(
    ("asked", "real"),
    [
        ("/bin/df", "/usr/bin/df"),
        ("/sbin/ip", "/usr/sbin/ip"),
        ("/usr/bin/which", "/usr/bin/which.debianutils"),
        ("/usr/sbin/reboot", "/usr/bin/systemctl"),
        ("/usr/bin/lsmod", "/usr/bin/kmod"),
        ("/usr/bin/awk", "/usr/bin/mawk"),
        ("/bin/sh", "/usr/bin/dash"),
        ("/bin/sh", "/bin/bash"),
        ("/usr/bin/python3", "/usr/bin/python3.11"),
        ("/usr/bin/vi", "/usr/bin/vim.basic"),
        ("/usr/sbin/iptables", "/usr/sbin/xtables-nft-multi"),
        ("/usr/local/bin/kubectl", "/opt/kubectl-1.29/kubectl"),
        ("/bin/busybox", "/usr/lib/busybox/busybox.static"),
    ],
)
def test_a_name_that_nothing_speaks_against_is_taken(asked: str, real: str) -> None:
    """Merged folders, versions, alternatives, several names of one program, a shell behind `sh`."""
    assert objection(asked, real) == ""
    assert objection(asked, real, denied="rm vim-x") == ""


@pytest.mark.parametrize(
    ("asked", "real", "denied"),
    [
        ("/usr/bin/editor", "/usr/bin/vim.basic", "vim"),
        ("/usr/bin/pager", "/usr/bin/less", "less"),
        ("/usr/bin/awk", "/usr/bin/mawk", "mawk"),
        ("/usr/local/bin/clean", "/usr/bin/rm", "rm"),
        ("/usr/local/bin/clean", "/usr/bin/rm", "/bin/rm"),
        ("/usr/local/bin/clean", "/bin/rm", "/usr/bin/rm"),
        ("/usr/local/bin/clean", "/opt/rm", "/opt/rm"),
        ("/usr/bin/py", "/usr/bin/python3.11", "python"),
        ("/usr/local/bin/tool", "/bin/bash", ""),
        ("/usr/local/bin/tool", "/usr/bin/bash-5.2", ""),
        ("/usr/local/bin/tool", "/usr/bin/perl5.36.0", ""),
        ("/usr/local/bin/tool", "/usr/bin/env", ""),
        ("/usr/local/bin/tool", "/usr/bin/vim.tiny", ""),
        ("/usr/bin/awk", "/bin/bash", ""),
        ("/bin/ls", "/bin/busybox", ""),
        ("/bin/ls", "/usr/bin/coreutils", ""),
        ("/bin/sh", "/bin/busybox", ""),
    ],
)
def test_a_name_that_is_denied_or_runs_anything_is_refused_unless_said(asked: str, real: str, denied: str) -> None:
    """Trust: the real name is judged too; a policy that means it says so by name or by path, and only for itself."""
    why = objection(asked, real, denied)
    assert "real_names" in why
    base = real.rpartition("/")[2]
    assert objection(asked, real, denied, base) == objection(asked, real, denied, real) == ""
    permitting = MachineChecks(real_names=frozenset({base}))
    denying = MachineChecks(DeniedPrograms(frozenset({base.lower()})))
    assert "mine denies" in real_name_objection(asked, real, (("hub's", permitting), ("mine", denying)))


def test_a_denied_name_that_was_asked_for_may_be_its_family() -> None:
    """A rule that runs a script of the hub lets an interpreter through that a denial names: then what stands for it is
    meant too, and nothing else.
    """
    assert objection("/bin/sh", "/usr/bin/dash", denied="sh dash vim") == ""
    assert objection("/usr/bin/python3", "/usr/bin/python3.11", denied="python perl") == ""
    assert "denies (vim)" in objection("/bin/sh", "/usr/bin/vim.basic", denied="sh dash vim")
    assert "denies (dash)" in objection("/bin/sh", "/usr/bin/dash", denied="dash vim")


def test_folders_that_are_one_on_most_systems() -> None:
    """No others: /bin is not /sbin."""
    assert same_place("/bin/x", "/usr/bin/x")
    assert not same_place("/bin/x", "/sbin/x")
    assert not same_place("/usr/local/bin/x", "/usr/bin/x")
