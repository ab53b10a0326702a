"""make bench-peers: Answerback beside what people would use instead, each row in one interleaved run on this machine.

    python -m tests.bench.peers [ROW …] [--json FILE] [--chart FILE] [--scale 0.2]

`make bench-peers` installs the peers first (setup.sh). What is measured runs from bytecode, as what is installed does.

rows            the rows of the table in docs/performance.md, by name: what is run, what is counted
system          Answerback: a hub, a machine, an operator's open link
openssh         sshd and ssh with keys of their own; asyncssh_child runs in the peers' environment
celery_peer     redis-server that syncs every write, and a Celery worker; celery_child runs in the peers' environment
fleet           a thousand simulated machines that take orders
counted_hub     a hub that counts its statements and commits; counts reads them
samples         percentiles, rounds that take turns
machine         describes the machine; chart draws the SVG
"""
