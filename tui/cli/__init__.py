"""`answerback`: the operator's command line. Arguments and results are those of `common.api`; --json prints results
encoded as they are on the wire.

main      the group; commands loads each by name; context has what they share
run       run, retry: a command on machines, followed to its end; streams writes output as it comes
act       approve, reject, cancel, settle, pause, resume
control   priority, take-back, drain, undrain, edit, broadcast
lists     agents, jobs, requests, queue; inlets: the chats; records: one job or request in full
wake      has a neighbour wake a machine that sleeps
watch     events as they happen; plain prints the console's changes as lines
whoami    who one is, in chat too; passkey: what one signs with on the hub's pages
audit, runbooks, standing
          the audit, drafts of runbooks, approvals that hold for a while
approvers whose own signatures machines count, and changes of that from afar
chat      a small chat in the terminal, through the hub's generic inlet
console   the full-screen console
"""
