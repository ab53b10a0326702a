"""How a program of ours meets its surroundings: terminal, signals, supervisor, and the end.

encoding       what a terminal that is not UTF-8 gets instead; pure
streams        the standard streams put in order
program        how a program ends: errors as sentences or JSON, exit statuses
click_program  the same for programs made with click; the agent does without
hangup         SIGHUP, which ends no program; a log file that was moved away is opened again
confine        what a process gives up for good: being looked into, being root, calls of the kernel
lean           leaves out what a library loads and never uses here
notify         sd_notify(3): readiness and watchdog under systemd
"""
