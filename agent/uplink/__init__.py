"""The uplink: the agent's process that faces the network. It can start no job.

vitals         facts of the machine once a link, load figures with every heartbeat
interfaces     the machine's network cards, told with the facts
magic_packet   wakes a neighbour on the network, where the hub asks for it
backoff        pure: when to reconnect, when to renew the certificate
runner_socket  the uplink's end of the local socket to the runner
hub_position   the hub's position that this machine was told last, on disk
link_chain     the links there were, by which the hub notices a copy of the state folder, on disk
moved          a folder that is a copy, or was moved: the hub is told, and nothing is served
child          runs the agent's hidden commands in short-lived child processes
trust          the CAs that this machine trusts, while the hub replaces its own
renewal        renews the certificate over the link, in short-lived child processes
relay          one open link: passes messages between hub and runner until something ends it
upgrade        goes on as the program that is installed now
app            dials the hub again and again; holds the session and the runner connection across links
"""
