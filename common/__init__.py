"""What the hub, the agents and the console say to each other. Imports none of them.

The map, from the ground up (a module imports only modules above it):

    version      the one place the version lives
    errors       whose fault it is, and the cure: UserError and its exit codes
    text         hostile text made safe to show
    ids          names and ids: what they may look like
    fields       a value from outside against the type that its field has
    plan         the typed plan: steps of argument vectors, and the hash an approval is bound to
    grammar      a line from a person becomes an argument vector, or a refusal that names the character
    policy       allow, ask or deny: a pure function of rules and argument vector, with the nearest rule told
    lifecycle    the two lifecycles, request and job, as tables
    messages     every message on a link, typed, in prose
    codec        bounded msgpack: size, depth and node count are checked before anything is decoded
    session      one link without I/O: sequence, acknowledgement, resume, deadlines; both ends use it
    handshake    hello is answered by welcome or refuse; pure
    identity     who a certificate says you are; keys, requests, certificates
    sign         Ed25519 over a job: what the hub promises and the runner verifies
    seal         AES-256-GCM envelopes for secrets at rest
    tls          the TLS contexts: 1.3, mutual, one pinned CA
    config       TOML into dataclasses; unknown keys are refused by name
    files        private files, whole or not there
    credential   key and certificate on disk, and a renewal that survives a crash; of agents and operators
    certificate  makes the key and the request, checks what comes back
    dial         opens a link to the hub: whom to believe, and what to say when it does not work
    joining      the first contact: a token becomes a certificate
    catalogue    every sentence a person reads, in English and Chinese

The deciding modules do no I/O: `config`, `tls`, `files`, `credential`, `certificate` read and write files, `dial` and
`joining` reach the hub. Nothing here knows the clock: `now` is an argument. `identity`, `sign`, `seal`, `certificate`
and `joining` load `cryptography`; an agent's uplink, which is to stay small, uses none of them.
Times are seconds since the epoch as float in UTC unless a name says `_ms`; durations are seconds.
"""

from common.version import VERSION

__version__ = VERSION
