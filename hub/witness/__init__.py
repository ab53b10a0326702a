"""Witnesses of the audit: checkpoints are signed here, and kept where who rewrites the database does not reach.

signer    signs what was added; refuses where the past has changed
file      the file in the hub's folder that is always there
places    the others: syslog, chat, webhook, S3; and each as it is called
service   when each gets a note, retries, how each is
local     a checkpoint by a command; build what hub.toml names

What is proven against whom, and what is not: docs/audit.md. The form of all of it: `common.audit`.
"""
