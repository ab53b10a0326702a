"""What the hub, the agents and the console have in common. Imports none of them.

    api/         the operators' API in types: verbs, arguments, results, views, rights
    link/        one connection between two programs, from bytes to typed messages
    filter/      the filter language of lists
    policy/      allow, ask or deny: a pure function of rules and argument vector
    audit/       the audit's form, and its verifier, which needs nothing else of this
    identity/    certificates, keys, signatures, sealed secrets, TLS contexts
    config       TOML files into dataclasses; unknown keys are refused by name

Below those:

    plan         the typed plan, the hash that an approval is bound to, the signed order
    doctor/      what a doctor finds, and how it is told
    process/     how a program of ours meets terminal, signals and systemd, and how it ends
    command/     a command as a person writes it: words and filters behind `|`, and back
    machine/     what is told of a machine and of what ran on it

The ground, values and words that every room stands on; it imports nothing above it:

    lifecycle    the two lifecycles, request and job, as tables
    catalogue    the sentences that people read, in English and Chinese
    fields       values from outside checked against the type of their field
    script       a script that is shipped with a plan, known by its digest
    values       durations, sizes, addresses: parsed and formatted
    times        moments, told in a zone with its name
    text         hostile text made safe to show
    ids, roles   the form of names and ids; the roles of people, in order
    files, read_file
                 private files, written whole or not at all; files read within bounds
    approval_proof
                 a signed yes: what an order carries of an approval
    confirmation the hub's signed word that a job may start
    key_change   a change from afar of whose own signatures machines count, signed by people
    errors       UserError and the exit codes
    version      the version, in one place
    crashpoints  named places where a test ends or holds a process

Which parts are pure is contracted in pyproject.toml. Nothing here reads the clock: `now` is an argument. Times are
seconds since the epoch, as float, in UTC; durations are seconds, unless a name ends in `_ms`.
"""

from common.version import VERSION

__version__ = VERSION
