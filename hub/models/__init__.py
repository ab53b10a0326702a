"""The side of planning that talks to language models. It knows nothing of plans: an `Ask` goes in, text comes out.

    ask            what is asked and what comes back: Ask, Completion, the events of a stream, typed failures
    transport      the HTTP under both protocols: one pool of connections a node, keys, bounds on what is read
    wire_openai    OpenAI-compatible servers (llama.cpp, vLLM, clouds): SSE, `response_format`
    wire_ollama    Ollama servers, through the `ollama` client: NDJSON, `format`
    breaker        pure: when a node that failed is left alone, and when it is tried again
    stats          pure: what a node has shown: speed, first token, latencies, counts
    node           one server: its wire, slots, breaker and figures; `call` makes one attempt, `watch` looks after it
    router         pure: which node a request goes to, in what order, and when a second one is asked as well
    batch          pure: which waiting requests share one call (off unless configured)
    single_flight  identical requests under way share one
    budget         pure: tokens a person may use, a minute and a day
    pool           the shell over all of these: `complete(ask) -> Completion`, or NoAnswer
    build          nodes and bounds from hub.toml
    cache          plans that were made before: `lru` in memory over a `shelf` of sealed files, with a time to live
    families       what `/metrics` tells of nodes and cache

A failed attempt is tried elsewhere without a thought, since nothing acts upon text until a planner has parsed it, and
policy and people have seen it. Requests wait here and not at a node: whichever slot is free first takes the oldest.
"""
