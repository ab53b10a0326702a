"""What is told of a machine and of what ran on it, wherever it is told: chat, command line, console. Pure.

absence    why a machine is away, in words
vitals     which figures of a machine can be true
redelivery why a job was handed to its machine again
interfaces the network cards of a machine, as it tells them
end_notes  what is to be told of a job's end: what it left behind, what of it is lost
"""
