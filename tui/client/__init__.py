"""The operator's end of the link.

client      calls and subscriptions on one connection; errors: how a call may fail
profile     the folder with a person's credential; login creates it, renewal keeps its certificate valid,
            trust its CAs the hub's
approval_key
            the key with which a person signs a yes to what is critical, and what they sign
key_changes a change of whose own signatures machines count, made and signed
inlet       a person's end of the hub's generic inlet: signed messages out, signed replies in
source      where the console's data comes from, as an interface; hub_source: the hub
faults      errors of the console itself, as lines for people
"""
