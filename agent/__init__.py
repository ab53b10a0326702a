"""The agent: verifies, runs, reports. Two processes.

    runner/   the parent of every job; no network. Outlives the uplink.
        app      the local socket, one uplink at a time
        guard    pure: may this order be started? signature, name, expiry, epoch, plan hash, local policy
        journal  append-only, fdatasync before a job is accepted; read back at start
        work     what the runner does with an order, from journal to evidence
        process  starts a program without a shell, in its own process group; ends it; reaps it
        spool    output in numbered chunks, capped, with the digest of all of it
    uplink/   faces the network; can start nothing
        app      dials out, keeps the link, passes messages between hub and runner
        link     one connection in service
        local    the other end of the runner's socket
        pace     pure: when to try again, when to renew
        renewal  the next certificate, over the link
        vitals   psutil: what the heartbeat carries
    join      the first contact: key made here, token once, CA pinned
    detach    a runner that outlives who started it
    state     the files under the state folder, and who owns which
    status    what `status` tells
    log       key=value lines with stable event names
    cli       answerback-agent

Only the runner's death, or the machine's, makes an outcome unknown.
"""
