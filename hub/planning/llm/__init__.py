"""The planner that asks a language model: plain words become the same typed outcome that every planner returns.

    permissions      pure: what a person may ask for, by policy; without machine names
    inventory_facts  pure: the inventory as a prompt lists it: names, labels, facts from a closed set of words
    redact           pure: masks what looks like a secret
    history          pure: which earlier messages of the conversation a prompt includes, and whether they taint the plan
    prompt           pure: the system prompt within a token budget, and the person's message as one JSON value
    schema           pure: the JSON schema of an answer, with every allowed name as an enum
    answer           pure: an answer parsed strictly into an outcome; deviations are refused by name
    transcript       what is stored of an exchange with a model, encrypted; the audit has the digests
    planner          the shell: cache -> prompt -> servers -> answer -> cache
    build            everything above, built from a hub's configuration

Safety does not rest on the prompt. A model has no tools; its answer is text until `answer` has parsed it into a plan
that a person could have typed; policy judges that plan like any other, and again before each job; a plan to which text
contributed that no person wrote never runs without approval (`Plan.tainted`). A prompt contains no output, address or
secret, and of what a machine reports only words of a closed set and numbers, so that a machine cannot inject text.
"""
