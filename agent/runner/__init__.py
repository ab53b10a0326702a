"""The runner: the only process on a machine that starts jobs; see the package above for what it is to the rest.

From the ground up (a module imports only modules above it):

    limits       its bounds, in one place
    crashpoints  named places where a test kills it
    journal      append-only, on disk before an order is accepted; group commit, fence, tombstones
    evidence     the files of a job: start marker, result
    spool        output in numbered chunks, capped, under one quota, with the digest of all of it
    process      starts a program without a shell, in a session of its own; ends it; reaps it
    guard        pure: may this order be started? signature, name, epoch, expiry, plan hash
    rules        trust.json and policy.toml, read again when they change; what the local policy says
    jobs         what is held of one job, and how far the hub has been told about it
    telling      the next message to the hub, made from the jobs' states; nothing is queued
    recover      after a restart: journal, marker, result and boot id become one state
    supervise    the programs that run: output, time limit, cancel, exit
    work         the way of an order from journal to evidence; the start fence
    link         one connection to the socket: framing, who may, back-pressure
    app          the lock, the socket, one uplink at a time, the end of the process
"""
