"""What the hub knows and decides, without I/O: facts in, intentions out. Pure by contract, as a folder.

records        the rows of the store as values
request, job   the two lifecycles: (record, event, now) -> (record, actions)
judgement      policy over a whole plan: allow, ask (how many, second factor), deny
learning/      rules proposed from what was asked and approved
approval       who may approve what; plain_answer what a bare yes approves
approval_proofs
               an approval signed when it is given, and what those given are worth at hand-out
passkeys       a new passkey: what a browser is asked, what its answer must be
standing       a yes that holds for a while
key_changes    a change of whose own signatures machines count: what the hub takes of it, and whom it is handed to
row_mac        which rows this hub wrote: a MAC over what decides over a start
who_may        whom to ask, where somebody may not
authorization  authorize(): the one question every entrance asks
outcome        what a planner may answer; receipt what a webhook does
cures          what to send instead of a command that is refused
inventory      which machines there are, which are meant, which are online; absence why one is not
action_checks  who may cancel, take back, settle, edit
admission      a planned request: refused, answered, asked about, or queued; queue_limits its bounds
dispatch       the order that a job goes to its machine with, or why it is withheld
redelivery     whether a job that came back, provably not started, is handed out again, and when
lost_contact   a machine that has a job and is not heard of, and when the hub stops waiting for it
reconcile      a machine's report beside the hub's own rows; job_output what is stored of a job's output
plan_edit, pause_drain, queue_order    an edited plan, a paused or drained machine, places in a queue
recovery       when a store is a restored backup, and what follows
audit          the intention to write an audit row
ca_rotation    the phases in which the hub's CA is replaced, and who is not through yet
audit_chain    the hash chain of the audit and its checkpoints; audit_table where its witnesses are
sigv4          a request to an S3-like store, signed
vitals_history each machine's load, memory and link latency of the last minutes, in memory
holder         whether a name still has one holder, by what its steps go on from
copied_identity
               whether two machines live under one identity
wake           a machine that sleeps: which neighbours are asked to wake it, when, and what became of it
hub_time       the hub's own time: the wall clock, but for steps; and its ticks
lru            the one map that is bounded in entries and size
inlet_table    the keys that every inlet has in hub.toml; http_table those of its HTTP side
inlet_activity, quiet_inlets, inlet_rhythm
               what each inlet did since the hub started; when it was heard last, and which are silent for long
secret_uses    since when a secret holds, when it was used last, whether it can be retired
redaction      a delivery with what is private replaced by what has its shape
fair_queue     a line in which nobody stands behind somebody else's pile
attempts       what is unknown and idempotent is tried again; which attempt's outcome counts
arrivals       who waits at a port and has not said who they are, and whose turn is next
link_penalty   how long one stays away who is known and sends what is no frame
machine_rows   how many audit rows one machine can cause by what it merely says
sender_limits, echo_guard, repeated_message
               who talks too much, who repeats our own words, what comes under a known id
short_refusal  a refusal in one line, for who was refused just before
picture_format  which picture a file is, by its first bytes
unreadable     what stands in the place of a sealed value that does not open: shown, and no reason for anything
rate_limits, strict_json, strict_form, callback_url, chat_text, name_set, name_map
               bounds and forms of what comes in and goes out
"""
