"""The one typed API of operators: hub, console, command line and demo world all speak it. Pure.

verbs, verb         every verb, declared once: name, right, arguments, result
work                asking for work and following it: the verbs that `answerback run` needs, apart from the others
queries, actions, wake, drafts, standing, key_changes, passkeys, subscriptions, arguments, outcome
                    arguments and results, and what they have in common
jobs, requests, plans, agents, events, overview, models, inlets, whoami
                    what is shown
lists, versions     a followed list: snapshot and delta; what is read of a hub that is newer
codec, decoding, encoding
                    values to and from maps
hints, constraints, expectations
                    what a field is, how it is bounded, what is said where it is not so
rights, errors      who may, and the words of a no
paths               whether a row has what a filter names
docs                makes docs/api.md of all this
"""
