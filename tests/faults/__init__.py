"""Faults put into whole systems of real processes, and what must hold whatever happened.

    named crash points of the programs (`common/crashpoints.py`), which are one comparison in normal runs,
    the step x fault matrix, clocks, disks and links that misbehave: here is what makes a fault, and the tables of cases

    points      the crash points there are, read from the source
    oracle      the machine's own record: each job appends its id and the moments of its start
    checker     reads the histories afterwards: oracle, store and audit, and what the webhooks answered. Pure
    wall_clock  another wall clock for one process tree, set while it runs; the boot clock stays the real one
    soak        hours of ordinary work, and what grows meanwhile that should not (`python -m tests.faults.soak`)
    clocks      the table of clocks: agents whose clock is off, hubs whose clock is set while something waits
    disks       hubs whose disk is full while they serve, or while they are down and started on it

A case makes its fault, waits until everything has come to rest, and hands the history to the checker; it asserts
little itself. A bounded share runs always; the whole tables are marked `slow` and print themselves for docs/faults.md
(`pytest -m slow -s tests/faults`). Their processes are started for real: what is forked has its clock and environment
already.
"""
