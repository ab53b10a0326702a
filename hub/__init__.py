"""The hub: accepts messages, plans, checks, queues, routes, records.

A message's way, and the file that owns each part of it:

    chat/        one file a platform: verify the raw bytes, parse, render a reply; nothing else knows the platform
    webhook      HTTP in: bounds, signature, de-duplication, commit, 2xx; work comes after the answer
    plan/        a chain of planners, first answer wins: explicit, built-in answers, follow-ups, runbooks
    planner/     the planner that asks a language model, after the chain
    models/      the servers of language models: protocols, routing, failover, budgets, the cache of plans
    thinking     what is understood at once, and what takes pictures, models or a look into what was said before
    pondering    the slow lane, where that happens
    drafting     pure: a runbook learned from a plan; acts_drafts proposes, reviews and writes it
    summaries    a model's words on long output, behind the reply
    request      pure: what a request does on an event (the request lifecycle with its actions)
    job          pure: what a job does on an event
    approval     pure: who may approve what; second factors
    authority    authorize(): the one question every entrance asks
    engine       the shell around request and job: saves, then performs the actions
    links        the port that machines and consoles dial: who may go where, one link a machine
    agent_link   one machine's link: facts in, committed and acknowledged; jobs out; its session over short breaks
    hearing      what a machine says, inside one store unit: facts, output, the report beside the hub's rows
    consoles     the operators' links: calls and subscriptions; desk and its rooms have the verbs
    wire         the sending side of both: frames in order, closing that comes to an end
    speech       composes replies from records, into the outbox; present and wording have the texts
    acts         what people do: approve, reject, cancel, pause, settle
    change       one transaction's worth of moves, and the effects after it
    replies      the outbox to chat, with retries
    timers       what is due: lapses, checkpoints, clean-up; deadlines are data in the store
    machines     which machines there are, which are meant, which are online
    ca           join tokens, certificates, renewal, revocation
    audit        the hash chain, its checkpoints, verify and export
    store/       the tables and their verbs, one writer with group commit, migrations
    metrics      counters, histograms
    log          structured logs
    config       hub.toml; `init` writes it
    cli          answerback-hub; model_report and model_trial are what `models` tells
    app          the composition root: the only file that knows everyone

Facts in, intentions out: the pure files return what to save and what to do; the shells save first, then do.
The table is the truth: a notification, a queue in memory, a connection only says "look".
"""
