"""Allow, ask or deny: a pure function of rules, person, machine and argument vector, always with the nearest rule told.

check       the verdict on one command
merge       later defaults in an edited file, a table at a time
match       one rule against one argument vector: sub-commands, options, arguments
rules       what a rule is: who, where, which program, how it is asked for
machine_checks
            what only the machine can look at: the file behind a name, where paths lead, digests; its form in an order
real_names  whether the file behind a program's name may be another one than was judged
protections settings of git that take away what a checkout could have it do
runs_anything
            programs that run whatever they are told, the one list of them
types       the values that arguments may have: paths beneath roots, names, numbers, choices
windows     when a rule holds: days and hours in a zone
secrets     where machines keep secrets, by name and by place
safe_regex  patterns that match in linear time
escapes     harmful lines of programs, tried against a policy
table       which rules are worth looking at for a program
file        policy.toml into rules; every mistake is told at once, and what the readable part forbids is kept
elements    types, programs, rules and denials, one at a time; rule_parts: the parts of a rule
source      the file's text: lines, denials of one line, what can be read of a broken file
"""
