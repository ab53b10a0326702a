"""The port that agents and consoles dial.

server      who may connect, one link an agent, revocation, the goodbye
listener    the port's sockets and connections, on hub.chat.gated_port; websocket has the inner parts of the library
paths       what is answered before the upgrade
peer        who is at the other end: identity, validity, clock
admission   who is told to come again later, before the store is asked
holders     whether one machine comes under a name, by what its hello says; a copy that says so itself
live_tls    its TLS, whose certificate and trusted CAs change while it serves
trust       what both are told of the hub's CA while it is replaced
join        the entrance for who has no certificate yet
connected   the row of a machine that has just linked
closing     closes many links
renewal     the entrance for certificates that have run out
logins      when people came with which certificate; what a new one replaces ends
refusals    who was refused, in audit and log, bounded
agent       one agent's link: facts in, committed and acknowledged; jobs out; its session over short breaks
handover    places that links hold for units that lease jobs, and what those have leased
entering    what is looked up and noted of whoever opens a link, before it is welcomed
console     one operator's link: calls and subscriptions
subscription
            what a console follows
send_queue  the sending side of both: frames in order, closing that comes to an end
"""
