"""Identities on a link, and what is signed or sealed. The primitives are those of `cryptography` and OpenSSL.

certificates  the private CA: what a certificate looks like, issuing, and reading the identity out of one
csr           makes a key and its signing request, checks the certificate that comes back
credential    an agent's or operator's key and certificate on disk, and a renewal that survives a crash
tls           the TLS contexts: 1.3, mutual, one pinned CA
trust         the CAs that are trusted: one, or two while the hub's is replaced
trust_check   whether the CAs that a hub names may be trusted from now on
signing       Ed25519 signatures of orders, approvals and audit checkpoints
passkey       passkeys as keys of approvers: the line of one, what it signed
sealing       AES-256-GCM envelopes for secrets at rest

An agent's uplink is to stay small and loads only `credential`, `tls` and `trust`, which do without `cryptography`.
"""
