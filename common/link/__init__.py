"""One link between two programs, from bytes to typed messages. Both ends use the same code.

messages    every message, typed, with the protocol described in prose
bodies      each as the body of its frame: who may send it, what its fields may hold
marks       a hub's position in its history, which machines remember
lineage     a holder's steps, by which the hub notices that a state folder has two
compatibility
            what a peer of a version before is not sent
codec       bounded msgpack: size, depth and number of values are checked before anything is decoded
session     the state machine of one link: sequence numbers, acknowledgement, resume, deadlines
handshake   how hello is answered by welcome or refuse
keepalive   the kernel's own watch over a link
joined      several messages in one write
dial        opens a link to the hub; turns connection errors into problem and cure
enrolment   join and login: a token becomes a certificate

`messages`, `bodies`, `marks`, `lineage`, `codec`, `session` and `handshake` are pure: no socket, no event loop, no
clock.
"""
