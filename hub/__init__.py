"""The hub: accepts chat messages, plans them, checks them against policy, and dispatches signed jobs to agents.

The way of a message, room by room; each room imports only rooms below it (contracts in pyproject.toml):

    chat/      in: HTTP server, webhook, one file a platform: verify the raw bytes, parse, commit, then answer 2xx
    engine/    takes the committed message, asks planning, saves what `core` decides, carries out what follows
    planning/  what the message means: commands, chat commands, follow-ups, runbooks, language models, pictures
    core/      pure decisions: lifecycles of request and job, judgement, approval, audit chain, limits
    store/     the database: one writer thread with group commit; state, audit row and reply in one transaction
    links/     the port that agents and consoles dial: jobs go out, events come in, each acknowledged after its commit
    engine/    applies the agent's events, ends the request
    chat/      out: the reply's text, the outbox, delivery with retries

Beside that way:

    archive/     the audit's old events, in files
    witness/     signs the audit's checkpoints and keeps them where who rewrites the database does not reach
    identity/    people, agents, certificates, second factors, the hub's keys
    api/         the operators' API: the handlers of `common.api`'s verbs and of subscriptions
    cli/         `answerback-hub`: init, serve, checks, administration
    app          the process: builds the parts, runs them, ends them in order
    parts        the composition root: the only module that knows every room
    base         what every other part stands on, and how it is put together
    reload       SIGHUP: everything again, and what can change takes effect without a restart
    files        what people may change while the hub serves: policy, runbooks, hub.toml
    status       why the hub is not ready, and its gauges
    storage      the store's disk: what is told while it is full, and the way back to normal
    maintenance  what is due by the clock: expiries, checkpoints, clean-up; deadlines are data in the store
    fencing      this process ends where another hub serves its store
    cleanup      deletes what was kept long enough, in small units beside the load
    clock        the hub's own time, which goes on whatever is done to the wall clock
    time_steps   the wall clock was set: told and audited
    authorities  the CA while it serves: the steps of its replacement are taken up
    sealing      sealing at rest while the hub serves: rows of before, a ring with a new key, which keys are in use
    config       hub.toml
    log          structured logs
    metrics      counters, histograms, gauges for Prometheus

Facts in, intentions out: the pure modules return what to save and what to do; the shells save first, then do. The table
is the truth: a notification, a queue in memory or a connection is only a hint to read it.

Glossary, one meaning a word:

    message             what a person sent in chat, verified and parsed
    request             one message being handled, from receipt to the last reply; `r42` is request number 42
    plan, step          the commands that a request is to run, each an argument vector with its target machines
    runbook, draft      a named, typed command template with example phrases; one proposed and not yet accepted
    job, order          one command on one machine, run at most once, ever; the signed document that dispatches it
    policy, verdict     the rules of policy.toml; their allow, ask or deny on one command. Judgement: on a whole plan
    approval            a person's yes or no to one plan hash, with or without a second factor
    agent, machine      the program that runs jobs; the computer that it runs on. Operator: a person with a role
    link, session       one WebSocket connection; the numbered, acknowledged exchange that outlives connections
    unit of work        the changes of one transaction; effects: what is done after its commit. Settle: a person decides
                        how an unknown job counts; a settled job is one that its request no longer waits for
"""
