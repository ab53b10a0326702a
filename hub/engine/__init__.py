"""Units of work and what follows them: takes events from every entrance, saves what `core` decides, then does the rest.

engine           puts the parts together; what other rooms are given
unit_of_work     one transaction: rows, audit, replies; run, committed, its effects published
snapshot         policy, runbooks, people and machines as a unit of work finds them
effects          what follows a commit, and the fan-out that passes it on
fair_line        turns in front of what takes a few at a time
intake           messages: accepted, planned, judged and leased in one commit; outcomes what comes of them
not_taken        who is told that the line was too long for a message
planning_queue   messages that need pictures read, earlier messages, or a model; picture_records keeps the pictures that
                 are only named
dispatch         jobs for a machine with room: leased, checked again, signed
agent_events     what an agent reports
recovery         after a restored backup: what was open is ended; recovery_state: what everybody asks meanwhile
actor            who acts, from where, and what became of it
chat_actions     actions that a chat message asks for; chat_views what it is told when it looks around;
                 chat_links makes somebody known who says a code
said_codes       a second factor's code that was said in chat: used up, its message removed
code_forms       the forms for such a code: who is shown one, what a sent one does
earlier_messages what was said in a conversation before a message
confirm          the confirm page's part: who gets a link, what it shows and does
passkeys         the passkeys of people: a link to the page that makes one, what it made
example_phrases  phrases that a person may send at once, tried; model_hint is told to admins, once
request_actions  approve, reject, cancel, settle; edit_plan, queue_actions, pause_drain, runbook_drafts the others;
                 draft_trial tries a runbook out before it is proposed
standing_approvals
                 a yes that holds for a while: given, used, taken back
wake             machines that sleep: neighbours asked to wake them, the result told
key_changes      changes of whose own signatures machines count: proposed, signed, handed out, answered
partial_results  results told to chat while other machines of the request still work
holders          one holder of a name: links and lives beside what was seen, and what follows where there are two
file_notices     a policy that does not read: audit, log, and the admins in chat
summaries        a model's summary of long output, behind the reply
"""
