"""What a message means: a chain of planners, first answer wins. Every planner gives the same typed outcome
(`core.outcome`).

service        planning as a whole: fast, or slow with pictures, models or earlier messages
chain          the order of the planners that answer at once
reading        a message without the marks and the mention of the bot around it
explicit       `@target command ...`
bare_command   the same as people write it without the `@`; completion answers "on which machine?"
chat_commands  approve, reject, cancel, retry, yes, status, show, jobs, help, hello; chat_words the words of them, in
               English and Chinese
confirmation   "yes" to our own "did you mean ...?"
unaddressed    what a message is that is not addressed to the bot: a command, maybe an answer, or neither
link_words     `link CODE`, by which somebody becomes known in a chat
machine_commands   pause, resume and wake
standing_commands
               "allow r42 for 1h", "allowed", "disallow a3"
draft_commands "make this a runbook", and decisions on drafts of runbooks
followup       "and on web-2?": messages that refer to the one before
watched_files  policy and runbooks, reloaded when they change
runbooks/      named, typed command templates with example phrasings, and how a message is matched to one
llm/           the planner that asks a language model; llm_servers/ has the servers that it asks
ocr/           pictures of messages become text
"""
