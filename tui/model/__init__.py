"""What the console knows and may do, without a widget: windows of lists, actions, saved views. Pure but for live_view.

window        rows of one list by id, kept true by deltas
live_view     a subscription that keeps a window current
actions       the registry of actions: name, key, right, when it is off and why
context       what screens and dialogs are given; settings: what was chosen on the command line
answers       what the hub answered to an action, in words
output_lines  output as lines; filter_text, plan_text, saved_views: filters, plans and views as people write them
"""
