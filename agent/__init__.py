"""The agent: runs signed commands on a machine and reports what became of them. Two processes.

    runner/   the parent of every job; verifies each order, has no network, outlives the uplink
    uplink/   the link to the hub; faces the network and can start no job

    cli       `answerback-agent`: the commands, each loading only what it needs
    join      first contact: key made on the machine, token used once, CA pinned
    serve     the commands `run`, `uplink` and `runner`, and what each becomes when it is upgraded
    re_exec   one process becomes another program: execve with a sealed document, descriptors that stay open
    upgrade   `answerback-agent upgrade`: asks both, and waits; upgrade_report: what became of it, on disk
    init      the duties of process 1, where the agent is a container's only program
    detach    starts a runner that outlives its starter, where there is no systemd; restarts when it is started again
    state     the files of the state folder, and which user owns which
    machine_policy
              the machine's own policy: policy.toml, and the profile that it begins with
    approvers approvers.json: whose own signatures count here where a rule is critical
    policy_commands
              `answerback-agent policy show|use|check`, and `approvers list|add|remove`
    status    what `answerback-agent status` prints; link_report: what the uplink tells it
    doctor    what `answerback-agent doctor` looks at
    reserve   room kept back on the state's file system, for when the disk is full
    lock      lock files: one runner and one uplink a state folder
    frames    framing on the local socket between the two processes
    take_over a person's word that a state folder that was moved goes on here
    holder    which holder of its name a folder is, for status and doctor
    place     where a state folder is, by which a copy is told from the folder itself
    boot      boot id, and the clock that counts from boot: every duration is measured by it
    log       key=value lines with stable event names

The agent is the program, the machine is what it runs on. Only the death of the runner or of the machine can make the
outcome of a job unknown. `runner` and `uplink` never import each other: they meet at the socket.
"""
