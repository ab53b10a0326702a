"""Runbooks: named, typed command templates with example phrases, and how a message is matched to one. Pure.

runbook      a runbook compiled: templates, examples, slots
file         runbooks.toml parsed strictly and tried out; publish adds an accepted draft to it
tokens       a message as words, English and Chinese
vocabulary   synonyms and other word tables, of `hub/defaults/words.toml`
phrases      words around a request that do not change what it asks: courtesy, "show me"
slots        the typed places of a template and the values that they take
pattern      word-for-word matching of an example
lexicon, paraphrase
             matching by meaning: a message and an example as sets of meanings
spelling     corrects typing errors in known words
matcher      which runbook a message means, by all of these; a wrong match is worse than a question
suggest      what a message that matches nothing may have meant, as suggestions, never as a plan
induce       a draft of a runbook from an approved plan
"""
