"""Planners: a chain, first answer wins. Every planner gives the same typed outcome, and policy sees no difference.

outcome      what a planner may say: a plan, an answer, an act on an earlier request, a refusal, or nothing
explicit     `@target command…`
acts         approve, reject, cancel, status, machines, help, in English and Chinese
draft_acts   "make this a runbook", and what is said about drafts of runbooks
followup     "and on web-2?", "再看看内存": what leans on the message before
runbook      named, typed command templates with example phrasings
match        which runbook is meant: word for word (match_pattern), by its meanings (fuzzy_…), or nearly (match_near)
chain        the order of them
"""
