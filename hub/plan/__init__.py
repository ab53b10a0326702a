"""Planners: a chain, first answer wins. Every planner gives the same typed outcome, and policy sees no difference.

outcome      what a planner may say: a plan, an answer, an act on an earlier request, a refusal, or nothing
explicit     `@target command…`
acts         approve, reject, cancel, status, machines, help, in English and Chinese
runbook      named, typed command templates with example phrasings
chain        the order of them
"""
