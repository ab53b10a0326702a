"""Faults put into whole systems of real processes, and what must hold whatever happened.

    named crash points of the programs (`common/crashpoints.py`), which are one comparison in normal runs,
    the step x fault matrix, clocks, disks and links that misbehave: here is what makes a fault, and the tables of cases

    points      the crash points there are, read from the source
    oracle      the machine's own record: each job appends its id and the moments of its start
    checker     reads the histories afterwards: oracle, store and audit, and what the webhooks answered. Pure
    wall_clock  another wall clock for one process tree, set while it runs; the boot clock stays the real one
    soak        hours of ordinary work, and what grows meanwhile that should not (`python -m tests.faults.soak`)
    upgrades    runner and uplink upgraded again and again under load
    clocks      the table of clocks: agents whose clock is off, hubs whose clock is set while something waits
    disks       hubs whose disk is full while they serve, or while they are down and started on it
    databases   PostgreSQL restarted, crashed, away and locked under load
    power       a disk that has what was synced when the power fails, and another boot; outages: the table of cases;
                unsynced_hub: the hub that such a disk must find out
    steps       the steps of a message, S1 to S15, and where each is held
    frame_relay between a machine and its hub, with the keys of both: what a network does to frames, and a thief
    world       a hub, a machine, the relay and a chat, on which cell after cell is played
    faults      what is done while a program stands at its step, and what is not done here
    matrix      the step x fault matrix
    kills       kill -9 of hub, uplink and runner under load
    mutations   real bodies and frames made odd. Pure
    flooder     sends such to a hub, in a process of its own
    malformed   a hub under that flood, beside somebody honest

A case makes its fault, waits until everything has come to rest, and hands the history to the checker; it asserts
little itself. A bounded share runs always; `make faults` (`python -m tests.faults`) plays the whole tables and prints
them for docs/faults.md. What has a clock of its own is started for real: a fork would have its parent's.
"""
