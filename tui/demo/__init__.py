"""A world without a hub: seeded and living, for docs, tests and newcomers. The console cannot tell it from a hub.

cast      who and what there is: machines, people, commands and what they print
world     what happens: requests come, wait, run, end; one heap of things to come, so that a seed always gives the same
acts      the verbs of the console on that world, with the hub's answers
views     windows on its lists: filter, order, snapshot, deltas
overview  lanes, what needs you, fleet
nodes     servers of language models
source    the console's source
pictures  screenshots of it for the README
"""
