"""The filter language of lists, `state:running agent:web-* age>5m`: one grammar, three readers. Pure.

parser      text becomes a typed tree, or a refusal that names the position
fields      which fields each view has, what kind each is, which key of a row it means
match       the tree on rows in memory; the hub's store has the same as SQL (`hub.store.filter_sql`)
paths       the value of a row that a field names
complete    what may come next while a filter is typed
"""
