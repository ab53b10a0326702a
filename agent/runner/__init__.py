"""The runner: the only process on a machine that starts jobs. It verifies orders itself and trusts no uplink.

From the ground up (a module imports only modules above it):

    limits        all bounds: counts, bytes, seconds
    read_only     pure: which commands are known to change nothing
    journal       append-only file, on disk before an order is accepted: group commit, fence, tombstones
    evidence      the files of a job: start marker, result
    spool         output on disk: numbered chunks, per-job cap, one quota, SHA-256 of everything
    walk          where a path leads, found by hand, link by link; openat2 without links
    programs      the file of a program: judged by owners, real name and digest, and held open
    job_user      as whom a job runs where the runner is root; looking with that user's rights
    forker        starts a program as that user
    process       starts a program without a shell in a session of its own; stops and reaps it
    orphans       what jobs leave behind: told, read on, reaped
    out_of_memory whether the kernel has ended a process for want of memory
    git_support   a git that does not read its settings from variables is not started
    repository    git is started within a trusted repository only, whose configuration names no programs
    start_failure why a program could not be started: the interpreter or loader that is missing, by name
    verify        pure: whether an order may start: signature, name, epoch, expiry, plan hash
    order_life    pure: how long an order may wait for its start, on which clock
    approvals     pure: whose approvals in an order count here: signature, expiry, second factor, not the requester's
    used_approvals
                  which steps of critical requests were started here: what people sign is good for one start
    key_changes   pure: whether a change from afar of whose own signatures count is carried out here
    known_keys    approvers.json in the runner: such a change written, and what is known told
    local_policy  trust.json and policy.toml, reloaded when they change; the machine's own verdict
    jobs          the state of one job, and how much of it has been reported to the hub
    real_paths    whether the paths of a command really lie where its rule wants them; passed as descriptors
    scripts       a script that came with its order, sealed in memory
    stamps        moments of this runner, known to it alone, from which the hub counts what is left of a job's life
    confirmations the hub's signed words that jobs may start, and its clock as they show it
    preparation   what is looked at right before a start, and held open until it
    mounts        which file systems may keep us waiting
    look_aside    looks before a start that may: in a thread, with a time limit
    acceptance    whether a genuine order is accepted: its time, the machine's policy, its program, room
    markers       the start marker made, with room from the reserve
    refusals      what is said of a job that could not be started
    waiting       accepted jobs in the order in which they may start, confirmed by the hub or not
    short_jobs    reports of a job that has just started wait a moment, in which it may end: then they go as one
    reporter      the next message to the hub, derived from the jobs' states; nothing is queued
    recover       after a restart: journal, marker, result and boot id give each job one state
    output_pipeline
                  pure: the filters behind a command (`| grep x | head`) applied to its output
    hand_over     pure: the table of jobs that a runner hands to the program that takes its place
    supervise     running programs: output, time limit, cancel, exit
    job_manager   an order from journal to evidence; the start fence
    job_table     the jobs as a table: paused, handed over, taken over
    folders       the runner's folder: its lock, the folders in it
    socket        one connection to the socket: peer credentials, frames, back-pressure
    socket_files  the socket, and the files beside it in which the uplink is told version, protocol and life
    upgrade       goes on as the program that is installed now, while jobs run
    app           lock, socket, one uplink at a time, shutdown
"""
