"""agent.runner.process"""

from __future__ import annotations

import errno
import hashlib
import os
import resource
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from agent.boot import since_boot
from agent.runner import process
from agent.runner.process import (
    CannotEnter,
    ChildProcess,
    Spawner,
    has_exited,
    is_alive,
    open_folder,
    reap,
    signal_group,
)
from agent.runner.programs import open_program
from common.policy.machine_checks import MachineChecks


@pytest.fixture
def spawner() -> Iterator[Spawner]:
    mask = process.prepare_process()
    made = Spawner()
    yield made
    made.close()
    os.umask(mask)


def run(spawner: Spawner, *argv: str, env: tuple[tuple[str, str], ...] = (), folder: str = "/") -> ChildProcess:
    descriptor, program = open_folder(folder), open_program(argv[0], os.geteuid())
    try:
        return spawner.spawn(program, argv, env, descriptor)
    finally:
        os.close(descriptor)
        program.close()


def output(child: ChildProcess) -> bytes:
    """All of its standard output; waits for the end of it."""
    parts = []
    while True:
        select.select([child.out], [], [], 20)
        data = os.read(child.out, 65_536)
        if not data:
            return b"".join(parts)
        parts.append(data)


def ended(child: ChildProcess) -> process.ExitStatus:
    assert select.select([child.pidfd], [], [], 20)[0], "it did not end"
    end = reap(child)
    for descriptor in (child.out, child.err, child.pidfd):
        os.close(descriptor)
    return end


def test_a_program_runs_and_its_status_is_told(spawner: Spawner) -> None:
    """ExitStatus status, no signal, and the time it took."""
    child = run(spawner, "/bin/sh", "-c", "exit 3")
    end = ended(child)
    assert (end.code, end.signal) == (3, None)
    assert 0 <= end.cpu_user < 5


def test_a_signal_is_told_as_one(spawner: Spawner) -> None:
    """A program that was killed has no exit status."""
    end = ended(run(spawner, "/bin/sh", "-c", "kill -SEGV $$"))
    assert (end.code, end.signal) == (None, signal.SIGSEGV)


def test_no_shell_reads_the_arguments(spawner: Spawner) -> None:
    """Every argument arrives byte for byte, whatever a shell would see in it."""
    args = ["$HOME", "a b", "", "; touch x", "`id`", "*", "\\", "ü 中", "-n", "\n"]
    child = run(spawner, "/usr/bin/printf", "%s|", *args)
    assert output(child).decode() == "".join(f"{arg}|" for arg in args)
    ended(child)


def test_the_environment_is_exactly_the_constructed_one(spawner: Spawner, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of the runner's own environment passes, what the order adds does."""
    monkeypatch.setenv("SECRET", "x")
    monkeypatch.setenv("LD_LIBRARY_PATH", "/tmp")
    child = run(spawner, "/usr/bin/env", env=(("A", "1"), ("LANG", "zh_CN.UTF-8")))
    found = dict(line.split("=", 1) for line in output(child).decode().splitlines())
    ended(child)
    assert found == process.base_environment() | {"A": "1", "LANG": "zh_CN.UTF-8"}
    assert set(process.base_environment()) == {"PATH", "HOME", "LANG", "TERM", "USER"}


def test_it_starts_in_the_given_folder_and_we_stay_in_ours(spawner: Spawner, tmp_path: Path) -> None:
    """The working directory is the job's alone."""
    before = os.getcwd()
    child = run(spawner, "/bin/pwd", folder=str(tmp_path.resolve()))
    assert output(child).decode().strip() == str(tmp_path.resolve())
    ended(child)
    assert os.getcwd() == before


def test_standard_input_is_empty_and_no_descriptor_leaks(spawner: Spawner, tmp_path: Path) -> None:
    """A program sees three descriptors, the first of them at its end."""
    leak = os.open(tmp_path, os.O_RDONLY)
    os.set_inheritable(leak, True)
    process.prepare_process()
    child = run(spawner, "/bin/sh", "-c", "cat; readlink /proc/$$/fd/0; ls /proc/$$/fd")
    lines = output(child).decode().split()
    ended(child)
    os.close(leak)
    assert lines[0] == "/dev/null"
    assert set(lines[1:]) - {"10"} == {"0", "1", "2"}  # 10 is where dash keeps a script, where it has one


def test_limits_umask_and_signals_are_as_a_program_expects(spawner: Spawner) -> None:
    """No core file, files for its user alone, nothing ignored or blocked that the runner ignores or blocks."""
    old = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
    try:
        child = run(spawner, "/bin/sh", "-c", "ulimit -c; umask")
        other = run(spawner, "/bin/grep", "-E", "^Sig(Blk|Ign)", "/proc/self/status")  # a shell would unblock them
    finally:
        signal.signal(signal.SIGHUP, old)
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
    core, mask = output(child).decode().split()
    _, block, _, ignored = output(other).decode().split()
    ended(child)
    ended(other)
    assert (core, mask) == ("0", "0077")
    libc = 1 << 31 | 1 << 32  # signals 32 and 33 are the C library's own, and out of everyone's reach
    assert int(block, 16) & ~libc == 0
    assert int(ignored, 16) & ~libc == 0
    assert resource.getrlimit(resource.RLIMIT_CORE)[0] == 0


def test_it_leads_a_session_of_its_own(spawner: Spawner) -> None:
    """Neither our terminal's signals nor our group's reach it."""
    child = run(spawner, "/bin/sleep", "60")
    assert os.getsid(child.pid) == child.pid
    assert os.getpgid(child.pid) == child.pid
    signal_group(child, signal.SIGKILL)
    assert ended(child).signal == signal.SIGKILL


def test_a_signal_reaches_the_whole_group(spawner: Spawner) -> None:
    """Children and grandchildren end with their leader."""
    child = run(spawner, "/bin/sh", "-c", "sh -c 'sleep 60 & echo $!; wait' & echo $!; wait")
    pids = []
    while len(pids) < 2:
        select.select([child.out], [], [], 20)
        pids += [int(word) for word in os.read(child.out, 100).split()]
    signal_group(child, signal.SIGTERM)
    assert output(child) == b""  # the end of the pipe: nobody is left to hold it
    assert ended(child).signal == signal.SIGTERM


def test_what_the_leader_leaves_behind_is_killed_with_the_reaping(spawner: Spawner) -> None:
    """A background process in the group does not outlive the job."""
    child = run(spawner, "/bin/sh", "-c", "sleep 60 & echo $!")
    select.select([child.out], [], [], 20)
    pid = int(os.read(child.out, 100))
    assert select.select([child.pidfd], [], [], 20)[0]
    pidfd = os.pidfd_open(pid)
    reap(child)
    assert select.select([pidfd], [], [], 20)[0], "it is still there"
    for descriptor in (pidfd, child.out, child.err, child.pidfd):
        os.close(descriptor)


def test_term_reaches_a_stopped_program(spawner: Spawner) -> None:
    """A group that was stopped is woken to hear that it shall end."""
    child = run(spawner, "/bin/sleep", "60")
    os.kill(child.pid, signal.SIGSTOP)
    os.waitid(os.P_PID, child.pid, os.WSTOPPED | os.WNOWAIT)
    signal_group(child, signal.SIGTERM)
    assert ended(child).signal == signal.SIGTERM


def test_asking_whether_it_has_exited_does_not_reap(spawner: Spawner) -> None:
    """Until it is reaped its pid and its group cannot be another's."""
    child = run(spawner, "/bin/sleep", "60")
    assert not has_exited(child)
    os.kill(child.pid, signal.SIGKILL)
    assert select.select([child.pidfd], [], [], 20)[0]
    assert has_exited(child)
    assert has_exited(child)
    assert ended(child).signal == signal.SIGKILL


def test_what_cannot_be_executed_is_an_error_and_leaks_nothing(spawner: Spawner, tmp_path: Path) -> None:
    """A broken file is known at once, not as the death of a child."""
    broken = tmp_path / "broken"
    broken.write_bytes(b"\x7fELF broken")
    broken.chmod(0o755)
    me = psutil.Process()
    before, children = len(os.listdir("/proc/self/fd")), {child.pid for child in me.children()}
    with pytest.raises(OSError, match="Exec format"):
        run(spawner, str(broken))
    # Other tests share this process: what they leave may end meanwhile, and nothing of ours may be added.
    assert len(os.listdir("/proc/self/fd")) <= before
    assert {child.pid for child in me.children()} <= children


def test_a_running_process_is_known_by_its_start_time(spawner: Spawner) -> None:
    """A pid alone is not enough: it may have been given to another."""
    born = since_boot()
    child = run(spawner, "/bin/sleep", "60")
    assert is_alive(child.pid, born)
    assert not is_alive(child.pid, born - 5)
    os.kill(child.pid, signal.SIGKILL)
    assert select.select([child.pidfd], [], [], 20)[0]
    assert not is_alive(child.pid, born)  # a zombie has ended
    ended(child)
    assert not is_alive(child.pid, born)


def test_memory_is_not_told_where_it_is_the_runners_own(spawner: Spawner) -> None:
    """The kernel counts in what the parent had: a small program's peak cannot be known, a large one's can."""
    small = ended(run(spawner, "/bin/true"))
    assert small.max_rss == 0
    more = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10) + (100 << 20)
    code = f"a = bytearray({more}); a[::4096] = b'x' * len(a[::4096])"
    large = ended(run(spawner, sys.executable, "-c", code))
    assert large.code == 0
    assert more < large.max_rss < more + (200 << 20)


def test_a_folder_is_not_entered_through_a_link(tmp_path: Path) -> None:
    """Neither as the last part nor on the way: a link can be turned after the approval."""
    real = tmp_path.resolve() / "real"
    (real / "deep").mkdir(parents=True)
    link = tmp_path.resolve() / "link"
    link.symlink_to(real)
    os.close(open_folder(str(real / "deep")))
    for path in (link, link / "deep"):
        with pytest.raises(CannotEnter, match="symbolic links"):
            open_folder(str(path))


@pytest.mark.parametrize("path", ["relative", "", "/tmp/../etc", "/tmp/./x", "/nonexistent", "/etc/passwd", "/tmp\0"])
def test_what_is_no_plain_folder_is_not_entered(path: str) -> None:
    """Relative paths, dots, files and what is not there."""
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(CannotEnter):
        open_folder(path)
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_job_is_not_protected_from_the_oom_killer_as_the_runner_is() -> None:
    """A runner that systemd protects does not hand that on to a program that eats the memory."""
    code = """
import os
from agent.boot import since_boot
from agent.runner import process
from agent.runner.programs import open_program
with open("/proc/self/oom_score_adj", "w") as file:
    file.write("300")  # stands for the protection, which takes a privilege to give
process._oom_score_adj = lambda: -500
program = open_program("/bin/sleep", os.geteuid())
child = process.Spawner().spawn(program, ("/bin/sleep", "60"), (), os.open("/", os.O_PATH))
print(open(f"/proc/{child.pid}/oom_score_adj").read().strip())
os.kill(child.pid, 9)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={"PYTHONPATH": ":".join(sys.path)}
    )
    assert done.stdout.strip() == "0"


# ---- the program that runs is the one that was judged


def _copy(source: str, path: Path) -> Path:
    path.write_bytes(Path(source).read_bytes())
    path.chmod(0o755)
    return path


def test_what_was_judged_runs_whatever_its_name_becomes(spawner: Spawner, tmp_path: Path) -> None:
    """Trust: a thread exchanges the file under the name all the time; what runs has the exit status of what was opened
    and looked at, every time.
    """
    home = tmp_path.resolve()
    yes, no, name, spare = _copy("/bin/true", home / "yes"), _copy("/bin/false", home / "no"), home / "tool", home / "x"
    statuses = {yes.stat().st_size: 0, no.stat().st_size: 1}
    if len(statuses) == 1:
        with no.open("ab") as file:
            file.write(b"\0")
        statuses = {yes.stat().st_size: 0, no.stat().st_size: 1}
    os.link(yes, name)
    stop, swaps = threading.Event(), [0]

    def swap() -> None:
        while not stop.is_set():
            for source in (no, yes):
                os.link(source, spare)
                os.rename(spare, name)
                swaps[0] += 1

    thread, moved = threading.Thread(target=swap), 0
    thread.start()
    folder = os.open("/", os.O_PATH)
    try:
        for _ in range(60):
            program = open_program(str(name), os.geteuid())
            at = swaps[0]
            while swaps[0] < at + 2:
                os.sched_yield()
            end = ended(spawner.spawn(program, (str(name),), (), folder))
            moved += not os.path.samestat(program.status, os.stat(name))
            program.close()
            assert end.code == statuses[program.status.st_size]
    finally:
        stop.set()
        thread.join()
        os.close(folder)
    assert swaps[0] > 120
    assert moved


def test_a_process_has_the_name_of_its_program(tmp_path: Path) -> None:
    """`ps` shows what runs, by its argument vector and by its own name, though it was started by a descriptor; where
    the folder of the names cannot be used it still starts.
    """
    (tmp_path / "file").write_text("x")
    (tmp_path / "names").mkdir()
    (tmp_path / "names/sleep").symlink_to("/bin/false")  # of a runner before this one
    for names, shown in ((tmp_path / "names", "sleep"), (tmp_path / "file", ""), (tmp_path / "new", "sleep")):
        made = Spawner(str(names))
        child = run(made, "/bin/sleep", "60")
        process = psutil.Process(child.pid)
        while not (line := process.cmdline()):
            os.sched_yield()  # the kernel lets the parent go on a little before the exec is done
        name, file = process.name(), process.exe()
        os.kill(child.pid, signal.SIGKILL)
        ended(child)
        made.close()
        assert (line, file) == (["/bin/sleep", "60"], os.path.realpath("/bin/sleep"))
        assert name == (shown or name)


def test_a_script_is_started_by_its_path_and_a_replacement_is_stopped(spawner: Spawner, tmp_path: Path) -> None:
    """Trust: it finds its neighbours by $0. Another file under its name since it was judged: killed, and an error."""
    home = tmp_path.resolve()
    script = home / "tool"
    script.write_text('#!/bin/sh\ncat "$(dirname "$0")/neighbour"\n')
    script.chmod(0o755)
    (home / "neighbour").write_text("here")
    child = run(spawner, str(script))
    assert output(child) == b"here"
    ended(child)
    other, mark = home / "other", home / "mark"
    os.mkfifo(mark)
    other.write_text(f"#!/bin/sh\nread x < {mark}\ntouch {home}/ran\n")
    other.chmod(0o755)
    folder, program = os.open("/", os.O_PATH), open_program(str(script), os.geteuid())
    other.rename(script)
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(OSError, match="replaced while it was started") as caught:
        spawner.spawn(program, (str(script),), (), folder)
    assert caught.value.errno == errno.ESTALE
    assert len(os.listdir("/proc/self/fd")) == before
    program.close()
    os.close(folder)
    with pytest.raises(OSError, match="No such device or address"):  # nobody reads it any more
        os.open(mark, os.O_WRONLY | os.O_NONBLOCK)
    assert not (home / "ran").exists()


def test_a_script_with_a_digest_is_started_by_descriptor(spawner: Spawner, tmp_path: Path) -> None:
    """Trust: what the rule names by content runs, also where the name leads to another file by then."""
    script = tmp_path.resolve() / "tool"
    script.write_text("#!/bin/sh\necho judged $1\n")
    script.chmod(0o755)
    digest = hashlib.sha256(script.read_bytes()).hexdigest()
    policies = (("p", MachineChecks(sha256=frozenset({digest}))),)
    folder, program = os.open("/", os.O_PATH), open_program(str(script), os.geteuid(), policies)
    script.unlink()
    script.write_text("#!/bin/sh\necho another\n")
    script.chmod(0o755)
    child = spawner.spawn(program, (str(script), "one"), (), folder)
    assert output(child) == b"judged one\n"
    ended(child)
    program.close()
    os.close(folder)


def test_without_proc_it_is_started_by_its_path(spawner: Spawner, monkeypatch: pytest.MonkeyPatch) -> None:
    """A container that has no /proc runs programs all the same, with the comparison behind the start."""
    monkeypatch.setattr(spawner, "_has_proc", False)
    child = run(spawner, "/bin/echo", "x")
    assert output(child) == b"x\n"
    ended(child)
    monkeypatch.setattr(process.os.path, "samestat", lambda one, other: False)
    with pytest.raises(OSError, match="replaced"):
        run(spawner, "/bin/sleep", "60")


def test_kept_descriptors_reach_the_program_and_no_others(spawner: Spawner, tmp_path: Path) -> None:
    """Under the number that they have here, at which the argument vector names them."""
    (tmp_path / "file").write_text("content")
    folder, kept = os.open("/", os.O_PATH), os.open(tmp_path / "file", os.O_PATH | os.O_CLOEXEC)
    program = open_program("/bin/sh", os.geteuid())
    command = f"cat /proc/self/fd/{kept}; ls /proc/$$/fd"
    child = spawner.spawn(program, ("/bin/sh", "-c", command), (), folder, (kept,))
    found = output(child).decode()
    ended(child)
    assert found.startswith("content")
    assert set(found.removeprefix("content").split()) - {"10"} == {"0", "1", "2", str(kept)}
    for descriptor in (folder, kept, program.descriptor):
        os.close(descriptor)
