"""Pictures of messages become text. The text of a picture is hostile and only ever data: it is shown, and it taints.

    refusal      the reasons why a picture is not read
    settings     the bounds of a picture and of its child; the hub's own two checks, of length and first bytes
    protocol     pure: what hub and child say to each other, bounded and checked
    rows         pure: which boxes of text stand on one row of a picture that is held askew
    spaces       pure: the spaces that recognisers leave out
    layout       pure: recognised pieces become lines, with a terminal's columns, safe to show
    highlights   pure: the lines that matter most
    decode       child: a file becomes pixels, through Pillow, within bounds
    recognise    child: pixels become pieces of text, through rapidocr
    sandbox      child: the process, confined; `python -m hub.planning.ocr.sandbox`
    worker       one child from its parent's side
    reader       the port: a queue, children that come and go, results; what planning gets of them

`decode` and `recognise` need the extra `ocr` and are imported by the child alone: nothing that decodes runs in the hub.
"""
