"""Rules proposed from what was asked and what people said to it, for an admin to review. Pure; changes nothing.

learn       from evidence to proposals, and why there is none of the rest
narrow      a rule that asks, narrowed to what people said yes to: then it may allow
new_rule    a rule that asks, for what no rule is about
proposal    the evidence, the terms, a proposal as TOML
values      from the values that were seen, the narrowest type
"""
