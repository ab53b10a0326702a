"""A world without a hub: seeded and living, for docs, tests and newcomers. The console cannot tell it from a hub: it
has the same `Source`, the same verbs, the same typed results.

cast        who and what there is: machines, people, commands and what they print
timeline    its clock and what is to happen
records     its machines, requests, jobs and events at a moment, as frozen views
world       what happens: requests come, wait, run, end; story: how it begins
past        jobs that ended long before
api         which verbs it has; queries, decisions, work, interventions answer them
views       windows on its lists: filter, order, snapshot, deltas
overview    lanes, what needs a person, the machines
nodes       servers of language models; inlets the chats; vitals the last minutes of a machine
source      the console's source
pictures    screenshots of it for the README
"""
