"""Calls to servers of language models. Knows nothing of plans: a `ModelRequest` goes in, text comes out.

    types            what is sent and what comes back: requests, completions, stream events, typed failures
    transport        the HTTP under both protocols: one connection pool a node, keys, bounds on what is read
    openai_api       OpenAI-compatible servers (llama.cpp, vLLM, clouds): server-sent events, `response_format`
    ollama_api       Ollama servers, through the `ollama` client: NDJSON, `format`
    circuit_breaker  pure: when a failed node is left alone and when it is tried again
    stats            pure: a node's speed, time to first token, latencies, counts
    node             one server: its client, slots, breaker and figures; makes single attempts, checks its health
    router           pure: which node gets a request, in what order, and when a second one is asked too (hedging)
    batch            pure: which waiting requests share one call (off unless configured)
    single_flight    identical requests under way share one call
    token_budget     pure: tokens that a person may use a minute and a day
    pool             the shell over all of these: `complete(request) -> ModelCompletion`, or NoAnswer
    build            nodes and bounds from hub.toml
    plan_cache       plans made before, with a time to live: in memory over encrypted files (`disk_cache`)
    metrics          the Prometheus figures of nodes and cache

A failed attempt is retried elsewhere without harm, since nothing acts upon text until a planner has parsed it and
policy and people have judged it. Requests wait here and not at a node: the first free slot takes the oldest.
"""
