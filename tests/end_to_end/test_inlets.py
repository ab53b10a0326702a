"""An inlet comes to a hub that serves, is proved, and goes: no restart, and no message of another inlet is lost."""

from __future__ import annotations

import asyncio
import json
import signal
import time
from pathlib import Path

from tests.end_to_end.system import SystemHarness


async def test_an_inlet_comes_and_goes_while_the_hub_serves(tmp_path: Path) -> None:
    """Added, told to reload, proved by a signed delivery; with other secrets it is said; removed it is gone."""
    async with SystemHarness(tmp_path) as rig:
        await rig.init()
        hub = await rig.start_hub()

        async def proves(*words: str) -> bool:
            _, out, _ = await rig.hub("inlet", "test", "sender", "--json", check=False)
            delivery = {check["check"]: check for check in json.loads(out)["checks"]}["delivery"]
            return all(word in delivery["found"] + delivery["cure"] for word in words)

        await rig.hub("inlet", "add", "standard", "sender")
        assert await proves("has no inlet sender yet", "kill -HUP")
        hub.process.send_signal(signal.SIGHUP)
        await rig.wait_until(lambda: proves("the running hub took a signed delivery as r"))
        _, out, _ = await rig.hub("inlet", "list", "--json")
        last = {one["name"]: one["last_delivery"] for one in json.loads(out)}
        assert last["ops"] is None
        assert time.time() - 60 < last["sender"] <= time.time()
        async with asyncio.TaskGroup() as group:
            recording = group.create_task(rig.hub("inlet", "record", "sender", "--count", "1", "--json"))

            async def recorded() -> bool:
                await proves("took a signed delivery")
                return recording.done()

            await rig.wait_until(recorded)
        (file,) = json.loads(recording.result()[1])
        assert json.loads(Path(file).read_text())["platform"] == "standard"
        assert "answerback-inlet-test" not in Path(file).read_text()
        secret = rig.hub_dir / "secrets" / "sender"
        secret.write_text("whsec_" + "QUJD" * 11 + "\n")
        assert await proves("refused it", "kill -HUP")
        await rig.hub("inlet", "remove", "sender")
        hub.process.send_signal(signal.SIGHUP)
        assert hub.process.returncode is None
