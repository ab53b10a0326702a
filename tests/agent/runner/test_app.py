"""agent.runner.app: the socket, the uplinks that come and go, the beginning and the end of the process"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import shutil
import signal
import stat
import time
from pathlib import Path
from typing import Any

import pytest

from agent.place import Moved, leave_word
from agent.runner.app import run_runner
from agent.runner.limits import RunnerLimits
from agent.state import life_file, moved_here_file, refusing_file, version_file
from common.errors import UserError
from common.identity.signing import SigningKey
from common.link.codec import decode, encode
from common.link.lineage import parse_lineage
from common.link.messages import (
    Accepted,
    Ack,
    Beat,
    Bye,
    Cancel,
    Ended,
    Forget,
    Hello,
    Output,
    Refused,
    Report,
    Resync,
    Started,
    Unsure,
)
from common.version import VERSION

ROOT = os.geteuid() == 0


async def run_refused(home: Any) -> UserError:
    with pytest.raises(UserError) as caught:
        await run_runner(
            home.state, home.socket, exit_when_idle=False, allowed_uids=(), ready=lambda: pytest.fail("it came up")
        )
    return caught.value


# ---- coming up


async def test_there_is_one_runner_a_folder(home: Any, kit: Any) -> None:
    """The second one leaves at once, names the first and says what to do; the first serves on."""
    async with kit.process(home) as first:
        assert first.said == "ready"
        async with kit.process(home) as second:
            assert f"another runner (process {first.pid}) serves {home.state}" in second.said
            assert await second.ended() == 2
        uplink = await kit.Uplink.known(home)
        assert (await uplink.end(uplink.order("/bin/true"))).outcome == "succeeded"


async def test_a_socket_left_over_is_taken_over(home: Any, kit: Any) -> None:
    """A runner that was killed leaves its socket; the next one is there in its place."""
    async with kit.process(home) as first:
        first.kill()
        assert home.socket.exists()
    async with kit.process(home) as second:
        assert second.said == "ready"
        await kit.Uplink.known(home)
    assert stat.S_ISSOCK(home.socket.stat().st_mode)


async def test_the_socket_is_for_owner_and_group(home: Any, kit: Any) -> None:
    """Mode 0660, in a folder that is made for its owner alone."""
    home.socket = home.state / "run" / "runner.sock"
    async with kit.serving(home):
        assert home.socket.stat().st_mode & 0o777 == 0o660
        assert home.socket.parent.stat().st_mode & 0o777 == 0o700
    assert not home.socket.exists()


async def test_a_file_in_the_sockets_place_is_not_removed(home: Any) -> None:
    """Only a socket is taken for what an earlier runner left."""
    home.socket.write_text("precious")
    assert "cannot listen" in str(await run_refused(home))
    assert home.socket.read_text() == "precious"


async def test_a_folder_that_others_can_write_is_refused(home: Any) -> None:
    """Whoever can put a trust.json here decides what this machine runs."""
    home.runner.chmod(0o777)
    assert "chmod 700" in str(await run_refused(home))


async def test_a_damaged_journal_stops_it(home: Any) -> None:
    """It says which file and what to do, and does not come up without its memory."""
    (home.runner / "journal").write_bytes(b"x" * 100)
    assert "journal is damaged" in str(await run_refused(home))


async def test_it_comes_up_without_rules_and_refuses_everything(home: Any, kit: Any) -> None:
    """A missing trust.json is told in each refusal, not by a runner that is not there."""
    (home.runner / "trust.json").unlink()
    async with kit.serving(home):
        uplink = await kit.Uplink.known(home)
        refused = await uplink.next(Refused, uplink.order("/bin/true"))
        assert (refused.code, "trust.json" in refused.reason) == ("signature", True)


async def test_idle_it_is_small(home: Any, kit: Any) -> None:
    """Below 40 MiB resident, most of it shared with the uplink's process; a library too many shows here."""
    async with kit.process(home) as runner:
        uplink = await kit.Uplink.known(home)
        await uplink.next(Ended, uplink.order("/bin/true"))
        status = dict(line.split(":", 1) for line in Path(f"/proc/{runner.pid}/status").read_text().splitlines())
        assert int(status["VmRSS"].split()[0]) < 40 * 1024


# ---- one uplink at a time


async def test_the_newest_uplink_wins(home: Any, kit: Any) -> None:
    """The older one is cut off, and what it had sent and nobody had read starts nothing."""
    async with kit.serving(home):
        older = await kit.Uplink.known(home)
        await older.next(Ended, older.order("/bin/true"))
        newer = await kit.Uplink.attach(home)
        await newer.next(Report)
        await older.closed()
        late = older.order("/bin/true")
        newer.send(Resync({}))
        await newer.next(Ended, newer.order("/bin/true"))
        assert home.files(late) == set()


# ---- what comes in


async def test_messages_that_are_not_for_it_are_left_alone(home: Any, kit: Any) -> None:
    """A message of the hub that is for the uplink does no harm; a bye ends the connection."""
    async with kit.serving(home):
        uplink = await kit.Uplink.known(home)
        from common.link.messages import Beat, Welcome

        uplink.send(Beat(1.0), Welcome(1, "s", False, 0, 10.0, 1.0, "1"))
        await uplink.next(Ended, uplink.order("/bin/true"))
        uplink.send(Bye())
        await uplink.closed()
    assert Hello not in {type(message) for message in uplink.heard}


async def test_a_stale_hub_stops_and_forgets_nothing(home: Any, kit: Any) -> None:
    """Whatever carries a lower epoch than was heard is not obeyed, only an order's refusal is said."""
    async with kit.serving(home):
        uplink = await kit.Uplink.known(home)
        job = uplink.order("/bin/sleep", "60", epoch=7)
        await uplink.next(Started, job)
        assert uplink.epoch == 7  # the runner tells what it has heard
        uplink.epoch = 6
        uplink.send(Cancel(job, kill=True), Forget(job))
        assert (await uplink.next(Refused, uplink.order("/bin/true", epoch=6))).code == "epoch"
        for _ in range(3):  # time enough for a cancel to show
            await uplink.next(Ended, uplink.order("/bin/true", epoch=7))
        assert "Ended" not in uplink.kinds(job)
        uplink.send(Cancel(job, kill=True))
        assert (await uplink.next(Ended, job)).outcome == "cancelled"


@pytest.mark.parametrize("running", [True, False])
async def test_the_epochs_of_another_hub_are_its_own(home: Any, kit: Any, running: bool) -> None:
    """A machine that joined a new hub takes its first orders, whether the runner ran through the join or not; the hub
    of before is still refused what is older than it was.
    """
    key, runs = SigningKey.generate(), contextlib.AsyncExitStack()
    async with runs:
        await runs.enter_async_context(kit.serving(home))
        uplink = await kit.Uplink.known(home)
        await uplink.next(Ended, uplink.order("/bin/true", epoch=2_000))
        if not running:
            await runs.aclose()
            await runs.enter_async_context(kit.serving(home))
        old, home.key = home.key, key
        home.trust(key, hub="h2")
        uplink = await kit.Uplink.known(home)
        assert uplink.epoch == 1  # nothing of the hub of before is told to the new one
        assert (await uplink.end(uplink.order("/bin/true", epoch=1))).outcome == "succeeded"
        assert (await uplink.end(uplink.order("/bin/true", epoch=2))).outcome == "succeeded"
        assert (await uplink.next(Refused, uplink.order("/bin/true", epoch=1))).code == "epoch"
        home.key = old
        home.trust(old)
        uplink = await kit.Uplink.known(home)
        assert (await uplink.next(Refused, uplink.order("/bin/true", epoch=1_999))).code == "epoch"
        assert (await uplink.end(uplink.order("/bin/true", epoch=2_000))).outcome == "succeeded"


# ---- report and resync


async def test_the_report_lists_every_job_and_its_state(home: Any, kit: Any) -> None:
    """What runs, waits, has ended or was refused; also what was being journalled when the uplink came."""
    async with kit.serving(home, RunnerLimits(max_running=1)):
        uplink = await kit.Uplink.known(home)
        ended = uplink.order("/bin/true")
        await uplink.next(Ended, ended)
        runs = uplink.order("/bin/sleep", "60")
        await uplink.next(Started, runs)
        refused = uplink.order("/bin/true", not_after=1_000.0)
        await uplink.next(Refused, refused)
        waits = uplink.order("/bin/true")
        writing = [uplink.order("/bin/true") for _ in range(20)]
        await asyncio.sleep(0)
        again = await kit.Uplink.attach(home)
        report = await again.next(Report)
        states = {job: report.open.get(job) for job in (ended, runs, refused, waits)}
        assert states == {ended: "ended", runs: "started", refused: "refused", waits: "accepted"}
        assert report.boot == Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        # What the older uplink had handed over is in the report or was never read: nothing comes in between.
        again.send(Resync(dict.fromkeys(report.open, 1), cancel=(runs,)))
        await again.next(Ended, runs)
        for job in writing:
            if job in report.open:
                await again.next(Ended, job)
            else:
                assert home.files(job) == set()


async def test_a_runner_says_its_life_and_serves_no_copy(home: Any, kit: Any, tmp_path: Path) -> None:
    """Trust: one holder of a name. Each start another life, gone with the runner; a copied folder is not served, until
    a person says so: then it is another journal, once.
    """
    told = []
    for _ in range(2):
        async with kit.serving(home):
            uplink = await kit.Uplink.known(home)
            version, _, text = life_file(home.socket).read_text().partition(" ")
            lineage = parse_lineage(text)
            assert version == VERSION
            assert lineage is not None
            assert lineage.chain == (await uplink.next(Report)).journal
            told.append(lineage)
        assert not life_file(home.socket).exists()
    assert [lineage.counter for lineage in told] == [1, 2]
    copy = kit.Home(tmp_path / "copy")
    shutil.rmtree(copy.state)
    shutil.copytree(home.state, copy.state)
    with pytest.raises(ExceptionGroup) as refused:
        async with kit.serving(copy):
            pass
    assert isinstance(refused.value.exceptions[0], Moved)
    assert str(copy.state) in str(refused.value.exceptions[0])
    leave_word(copy.runner, moved_here_file(copy.runner), "moved")
    journals = []
    for _ in range(2):
        async with kit.serving(copy):
            journals.append((await (await kit.Uplink.attach(copy)).next(Report)).journal)
    assert journals[0] == journals[1] != told[0].chain
    assert not moved_here_file(copy.runner).exists()


def test_a_report_of_all_jobs_there_may_be_is_one_frame() -> None:
    """So is the answer to it: the bound on open jobs keeps both within the codec's."""
    jobs = [f"{number:026d}" for number in range(RunnerLimits().max_open)]
    report = Report("0" * 32, "0" * 36, dict.fromkeys(jobs, "accepted"))
    assert decode(encode(report), "runner").message == report
    resync = Resync(dict.fromkeys(jobs, 100_000))
    assert decode(encode(resync), "hub").message == resync


async def test_nothing_is_said_between_report_and_resync(home: Any, kit: Any) -> None:
    """The hub's answer comes first; then each job's story from where the hub says."""
    async with kit.serving(home):
        uplink = await kit.Uplink.known(home)
        job = uplink.order("/bin/sh", "-c", "sleep 0.05; echo done")
        await uplink.next(Started, job)
        again = await kit.Uplink.attach(home)
        await again.next(Report)
        while ".result" not in home.files(job):
            await asyncio.sleep(0.01)
        again.send(Resync({job: 2}))
        assert (await again.next(Ended, job)).chunks == 1
        assert again.kinds(job) == ["Accepted", "Started", "Ended"]


async def test_a_resync_before_the_report_is_not_obeyed(home: Any, kit: Any) -> None:
    """It would be the answer to somebody else's report."""
    async with kit.serving(home):
        uplink = await kit.Uplink.known(home)
        job = uplink.order("/bin/true")
        await uplink.next(Ended, job)
        again = await kit.Uplink.attach(home)
        again.send(Resync({}, forget=(job,)))
        assert job in (await again.next(Report)).open


async def test_a_resync_cancels_and_forgets(home: Any, kit: Any) -> None:
    """What the hub decided while nobody was attached comes with its answer."""
    async with kit.serving(home):
        uplink = await kit.Uplink.known(home)
        runs, ended = uplink.order("/bin/sleep", "60"), uplink.order("/bin/true")
        await uplink.next(Started, runs)
        await uplink.next(Ended, ended)
        again = await kit.Uplink.attach(home)
        await again.next(Report)
        again.send(Resync({runs: 1}, forget=(ended,), cancel=(runs,)))
        assert (await again.next(Ended, runs)).outcome == "cancelled"
        third = await kit.Uplink.attach(home)
        assert set((await third.next(Report)).open) == {runs}
        assert home.files(ended) == set()


async def test_a_job_that_the_hub_does_not_know_is_kept_and_not_talked_about(home: Any, kit: Any) -> None:
    """It runs on, its files stay, and a hub that knows it again hears the whole story."""
    async with kit.serving(home):
        uplink = await kit.Uplink.known(home)
        job = uplink.order("/bin/sh", "-c", "sleep 0.1; echo done")
        await uplink.next(Started, job)
        again = await kit.Uplink.attach(home)
        await again.next(Report)
        again.send(Resync({}))
        while ".result" not in home.files(job):
            await again.next(Ended, again.order("/bin/true"), len(again.heard))
        await again.next(Ended, again.order("/bin/true"), len(again.heard))
        assert again.kinds(job) == []
        third = await kit.Uplink.known(home)
        await third.next(Ended, job)
        assert third.output(job) == b"done\n"


async def test_an_unknown_jobs_files_go_when_its_tombstones_time_is_over(home: Any, kit: Any) -> None:
    """Not before: until then the hub may come back from a backup that knows it."""
    async with kit.serving(home, RunnerLimits(tombstone_ttl=-60.0)):
        uplink = await kit.Uplink.known(home)
        job = uplink.order("/bin/true", not_after=time.time() + 30)
        await uplink.next(Ended, job)
        again = await kit.Uplink.attach(home)
        await again.next(Report)
        again.send(Resync({}))
        await again.next(Ended, again.order("/bin/true"))
        assert home.files(job) == set()


# ---- the uplink goes and comes


async def test_an_uplink_that_is_killed_mid_output_costs_nothing(home: Any, kit: Any) -> None:
    """Attached again and again, the hub has every chunk once, the whole output and the exit status."""
    turn = "head -c 5000 /dev/zero | tr '\\0' x; echo $i; sleep 0.005; i=$((i+1))"
    script = f"i=0; while [ $i -lt 40 ]; do {turn}; done; exit 7"
    async with kit.serving(home):
        uplink = await kit.Uplink.known(home)
        job = uplink.order("/bin/sh", "-c", script)
        chunks: dict[int, bytes] = {}
        while True:
            start = len(chunks)
            while len(chunks) < start + 5 and not (ends := [m for m in uplink.heard if isinstance(m, Ended)]):
                await uplink.read()
                chunks |= {m.seq: m.data for m in uplink.heard if isinstance(m, Output)}
            if ends:
                break
            await uplink.close()
            uplink = await kit.Uplink.known(home, **{job: len(chunks) + 1})
        whole = b"".join(chunks[seq] for seq in range(1, len(chunks) + 1))
        assert whole == b"".join(b"x" * 5000 + b"%d\n" % i for i in range(40))
        assert ends[0].output_digest == hashlib.sha256(whole).hexdigest()
        assert (ends[0].exit_code, ends[0].chunks) == (7, len(chunks))


async def test_jobs_end_without_any_uplink(home: Any, kit: Any) -> None:
    """Nobody has to listen for a program to run, end and be recorded."""
    async with kit.serving(home):
        uplink = await kit.Uplink.known(home)
        job = uplink.order("/bin/sh", "-c", "sleep 0.1; head -c 1000000 /dev/zero; exit 3")
        await uplink.next(Started, job)
        await uplink.close()
        while ".result" not in home.files(job):
            await asyncio.sleep(0.01)
        again = await kit.Uplink.known(home)
        assert (await again.next(Ended, job)).exit_code == 3
        assert again.output(job) == bytes(1_000_000)


async def test_a_cancel_after_the_uplinks_return_stops_the_job(home: Any, kit: Any) -> None:
    """The job that outlived its uplink is still in hand."""
    async with kit.serving(home):
        uplink = await kit.Uplink.known(home)
        job = uplink.order("/bin/sleep", "60")
        await uplink.next(Started, job)
        await uplink.close()
        again = await kit.Uplink.known(home)
        again.send(Cancel(job))
        assert (await again.next(Ended, job)).outcome == "cancelled"


# ---- the end


async def test_it_leaves_when_it_is_idle(home: Any, kit: Any) -> None:
    """Started by an uplink for itself, it goes when nobody needs it; not while something runs or one is attached."""
    limits = RunnerLimits(idle_timeout=0.05)
    async with kit.serving(home, limits, idle=True) as task:
        uplink = await kit.Uplink.known(home)
        job = uplink.order("/bin/sleep", "0.3")
        await uplink.next(Started, job)
        await uplink.close()
        while ".result" not in home.files(job):
            assert not task.done()
            await asyncio.sleep(0.01)
        async with asyncio.timeout(kit.PATIENCE):
            await task
    async with kit.serving(home, limits, idle=True) as task:
        uplink = await kit.Uplink.known(home)
        assert (await uplink.next(Ended, job)).outcome == "succeeded"
        await asyncio.sleep(0.15)
        assert not task.done()


async def test_without_that_wish_it_stays(home: Any, kit: Any) -> None:
    """Under systemd it waits for its uplink as long as it takes."""
    async with kit.serving(home, RunnerLimits(idle_timeout=0.01)) as task:
        await asyncio.sleep(0.1)
        assert not task.done()


async def test_term_lets_what_runs_end_and_starts_nothing_more(home: Any, kit: Any) -> None:
    """Orders are refused as stopping, also those that waited; the last program's end is still told."""
    async with kit.process(home, RunnerLimits(max_running=1)) as runner:
        uplink = await kit.Uplink.known(home)
        runs = uplink.order("/bin/sh", "-c", "sleep 0.5; echo done")
        waits = uplink.order("/bin/true")
        await uplink.next(Started, runs)
        runner.terminate()
        assert (await uplink.next(Refused, waits)).code == "stopping"
        late = uplink.order("/bin/true")
        assert (await uplink.next(Refused, late)).code == "stopping"
        assert (await uplink.next(Ended, runs)).outcome == "succeeded"
        await uplink.closed()
        assert await runner.ended() == 0
    async with kit.process(home):
        uplink = await kit.Uplink.known(home)
        assert (await uplink.next(Refused, waits)).code == "restarted"
        assert (await uplink.next(Ended, runs)).outcome == "succeeded"
        assert uplink.output(runs) == b"done\n"


async def test_a_hangup_ends_nothing_and_reads_the_policy_again(home: Any, kit: Any, tmp_path: Path) -> None:
    """The job, the uplink and the runner go on; a policy that cannot be used is told at once, not at the next order."""
    async with kit.process(home) as runner:
        uplink = await kit.Uplink.known(home)
        os.mkfifo(tmp_path / "go")
        job = uplink.order("/bin/sh", "-c", f"read line < {tmp_path}/go; echo $line")
        await uplink.next(Started, job)
        home.policy("nonsense")
        runner.hang_up()
        async with asyncio.timeout(45):
            while "rules.broken" not in (home.state / "log").read_text():
                await asyncio.sleep(0.01)
        home.policy('default = "allow"')
        runner.hang_up()
        await asyncio.to_thread((tmp_path / "go").write_text, "finished\n")
        end = await uplink.next(Ended, job)
        assert (end.outcome, uplink.output(job)) == ("succeeded", b"finished\n")
        assert version_file(home.socket).read_text() == VERSION
        assert (await uplink.next(Ended, uplink.order("/bin/true"))).outcome == "succeeded"


async def test_a_runner_that_refuses_every_order_says_so_beside_its_socket(home: Any, kit: Any) -> None:
    """From the start, with the reason; what a runner that was killed has left there is gone."""
    home.policy("nonsense")
    async with kit.process(home) as runner:
        assert "policy.toml" in refusing_file(home.socket).read_text()
        runner.kill()
    home.policy('default = "allow"')
    async with kit.process(home):
        assert not refusing_file(home.socket).exists()


async def test_a_second_term_ends_what_runs(home: Any, kit: Any) -> None:
    """All of the group, and the record says who did it. The one that waits is refused once the first signal counts."""
    async with kit.process(home, RunnerLimits(max_running=1)) as runner:
        uplink = await kit.Uplink.known(home)
        job = uplink.order("/bin/sh", "-c", "trap '' TERM; sleep 60")
        waits = uplink.order("/bin/true")
        await uplink.next(Started, job)
        runner.terminate()
        assert (await uplink.next(Refused, waits)).code == "stopping"
        runner.terminate()
        end = await uplink.next(Ended, job)
        assert (end.outcome, end.signal, end.reason) == ("cancelled", signal.SIGKILL, "the runner was stopped")
        assert await runner.ended() == 0


async def test_it_ends_although_an_uplink_does_not_read(home: Any, kit: Any) -> None:
    """The last news are offered for a while; then they wait on disk for the next runner."""
    async with kit.process(home, RunnerLimits(shutdown_timeout=0.2, output_window=1_000)) as runner:
        uplink = await kit.Uplink.known(home)
        uplink.crediting = False
        job = uplink.order("/usr/bin/head", "-c", "1000000", "/dev/zero")
        await uplink.next(Output, job)
        runner.terminate()
        assert await runner.ended() == 0
    async with kit.process(home):
        uplink = await kit.Uplink.known(home)
        await uplink.next(Ended, job)
        assert uplink.output(job) == bytes(1_000_000)


async def test_a_killed_runner_leaves_the_running_unsure(home: Any, kit: Any, tmp_path: Path) -> None:
    """What it ran may live on, and is named; what had not started is refused; nothing runs twice; the ended is told."""
    count = tmp_path / "count"
    async with kit.process(home, RunnerLimits(max_running=1)) as runner:
        uplink = await kit.Uplink.known(home)
        ended = uplink.order("/bin/echo", "hello")
        await uplink.next(Ended, ended)
        runs = home.order("/bin/sh", "-c", f"echo x >> {count}; exec sleep 60")
        uplink.send(home.dispatch(runs))
        pid = (await uplink.next(Started, runs.job)).pid
        waits = home.order("/bin/sh", "-c", f"echo y >> {count}")
        uplink.send(home.dispatch(waits))
        await uplink.next(Accepted, waits.job)
        runner.kill()
    async with kit.process(home):
        uplink = await kit.Uplink.known(home)
        assert f"process {pid} is still there" in (await uplink.next(Unsure, runs.job)).reason
        assert (await uplink.next(Refused, waits.job)).code == "restarted"
        assert (await uplink.next(Ended, ended)).outcome == "succeeded"
        before = len(uplink.heard)
        uplink.send(home.dispatch(runs), home.dispatch(waits))
        await uplink.next(Unsure, runs.job, before)
        await uplink.next(Refused, waits.job, before)
        os.kill(pid, signal.SIGKILL)
    async with kit.process(home):
        uplink = await kit.Uplink.known(home)
        assert f"process {pid}" in (await uplink.next(Unsure, runs.job)).reason
        uplink.send(Forget(runs.job))
        await uplink.next(Ended, uplink.order("/bin/true"))
        assert home.files(runs.job) == set()
    assert count.read_text() == "x\n"


async def test_a_runner_that_is_asked_answers_and_one_that_hangs_does_not(home: Any, kit: Any) -> None:
    """A stopped process keeps its socket, so only an answer shows that it works."""
    async with kit.process(home) as runner:
        uplink = await kit.Uplink.known(home)
        uplink.send(Beat(0.0))
        await uplink.next(Ack)
        os.kill(runner.pid, signal.SIGSTOP)
        try:
            uplink.send(Beat(0.0))
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.3):
                    await uplink.read()
        finally:
            os.kill(runner.pid, signal.SIGCONT)
        await uplink.next(Ack, None, len(uplink.heard))
