"""What `doctor` of the agent and of the hub have in common.

findings        what a doctor finds and how it is told, judgements that both make; pure
machine_checks  what both ask of the machine they run on
"""
