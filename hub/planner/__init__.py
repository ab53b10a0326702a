"""The planner that asks a language model: plain words become the same typed outcome that every planner gives.

    rights     pure: what a person may ask for, by policy; no machine's name in it
    told       pure: the inventory as a model is told it: names, labels, and facts of known words only
    redact     pure: what looks like a secret, taken out
    thread     pure: which earlier messages are read along, and whether they taint
    prompt     pure: the system prompt within a bound of tokens, and the person's turn as one JSON value
    schema     pure: the JSON schema of an answer, with what may be named as enums
    answer     pure: an answer read strictly into an outcome; what is not of the form is refused by name
    planner    the shell: cache -> prompt -> pool -> answer -> cache
    build      everything of a hub's models, from its configuration

What keeps a model harmless is not in its prompt. It has no tools; its answer is text until `answer` has read it into a
plan that a person could have typed; policy then judges that plan as everyone's, and once more before each job; and a
plan in which text of no person took part never runs without one (`Plan.tainted`). A prompt holds nothing that may not
be read by whoever runs the model: no output, no address, no secret, and of a machine's own facts only known words and
numbers, so that a machine cannot speak to the model either.
"""
