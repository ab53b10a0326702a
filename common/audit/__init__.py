r"""The audit as a stranger reads it: its form, its proofs, and the verifier. Stands on `cryptography` and nothing else
of Answerback, so that it can be taken away and believed by itself: `answerback-hub audit verifier` writes one file.

event          an event: hash, leaf, line of an export
tree           RFC 6962's Merkle tree: as it grows, proofs of inclusion and of consistency
checkpoint     what the hub signs, the keys for it, and notes of it wherever a witness keeps them
verification   the walk over events, checkpoints and notes; what is wrong, by name
export         the file of an export
archive        the files of events that left the database
proof          an event without the rest, a log that only grew
verifier       the program

    An event  hash(n) = SHA-256("answerback event 1\n" + canonical JSON of [seq, at, kind, subject, actor, data,
              hash(n - 1)]); hash(0) is 64 zeros. Canonical: sorted keys, no blanks, ASCII
    The tree  RFC 6962 2.1 over those same bytes: a leaf is SHA-256(00 + bytes), a node SHA-256(01 + left + right)
    A note    the hub's word on the log up to an event, as a C2SP signed note: origin, size, root; then the chain's hash
              there, the time, the size of the note before. Signed with Ed25519, by a key that signs nothing else
    Witness:  any place outside the hub's database that keeps notes: on one line, `answerback-checkpoint ORIGIN SIZE …`
              wherever it stands in it (a file, syslog, a chat); as a note of several lines; or as an earlier export

Who changes the log needs its signing key to make it look whole, and then contradicts what a witness has kept.
"""
