"""The operators' API: the handlers of `common.api`'s verbs, and the subscriptions of consoles.

A call comes in over a console's link (`hub.links.console`), `dispatch` checks the right and the arguments, a handler
does the work in one store unit or one read, and its typed result is encoded.

verbs           the table: each verb and its handler
dispatch        right, arguments, handler, result
context         what handlers share; how an action is done and audited
lookup          the requests, jobs and filters that arguments name
whoami, queries, selectors, models, inlets
                answered once
run, decisions, standing, key_changes, pause_drain, wake, drafts, passkeys
                actions: new requests; on requests and jobs; on whose signatures machines count; on machines and the
                queue; on drafts of runbooks; on the caller's passkeys
subscriptions   the handlers that begin and end them
notifications   which subscriptions a commit concerns
subscription, following
                a person's subscription; to a job's output, a request, the audit
live_lists, list_reader, list_delta
                lists kept current for all who follow the same one; how one is read; what one console was not sent yet
row_cache, rows, agent_list
                rows of lists, built once for all
views           records as typed views
overview, stage_latency, attention
                the overview and its parts
output_search   lines of a job's output
"""
