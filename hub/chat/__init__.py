"""Chat: a message in, a reply out.

platforms/     one module a platform: verify the raw bytes, parse, render a reply; nothing else knows platforms
inlets         the inlets of hub.toml, each with its platform
http_server, listener_tls, uvicorn_private
               the HTTP server and its limits, before any application code runs; its certificate; the parts of uvicorn
               that it uses
gated_port     a port with TLS before anybody is known: who may open a connection, and when; the links' port is one too
webhook        one delivery: limits, signature, duplicates, commit, 2xx
outbound, outbound_pause, outbound_socket
               run the outbound modes of inlets: ask platforms for news, where the hub has no open port
open_sockets   the calls of replies over the sockets of outbound modes
picture_fetch  fetches the pictures that messages only name, after their commit
inlet_status   how each inlet is, for consoles, metrics and the page of the hub's health
inlet_memory   when each was heard, beyond the end of the hub
recorder       keeps deliveries of an inlet as fixtures, redacted, while somebody asked for it
proven_by      which of an inlet's secrets proved a delivery, and what replies are signed with while secrets change
admission, refusals
               the checks of a verified message, whichever way it came; what was turned away, counted and audited
compose        composes replies from records and puts them into the outbox
confirm_page, confirm_links
               a page on which to decide, for chats without buttons; the links to it
passkey_page, passkey_links
               a page on which a person makes a passkey, to sign with on the former; the links to it
one_time_page, one_time_links
               what these pages and their links have in common: a link of one use, who may look, what a form must prove
html_page      how they look; passkey.js is their script
code_form_door forms for a second factor's code, at the webhook and over sockets: opened before a click is answered
removals       the removal of a message in which such a code was said, from the outbox
output_file    the whole output of a request as one file, read when it is posted
reply_text, approval_text, outcome_text, output_pages, request_text, help_text, card_text
               the texts of replies; a card is the one message of a request, in chats that can change what was posted
buttons        a card's buttons, and what a click on one says
markup         a reply's text as blocks, for platforms with markup of their own
delivery       posts the outbox to chat, with retries; retry: the pure rule of when; repeats: what may be there already
http_client    calls to the APIs of chats, bounded and to checked addresses
outbox_turns   whose reply is posted next
resolver       resolves the hosts of replies to addresses that may be called
"""
