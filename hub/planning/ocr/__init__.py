"""Pictures of messages become text. The text of a picture is hostile and only ever data: it is shown, and it taints.

    protocol     pure: what hub and child say to each other, bounded and checked; why a picture is not read
    spaces       pure: the spaces that recognisers leave out
    layout       pure: boxes of text become rows, rows become lines, with a terminal's columns
    highlights   pure: the lines that matter most
    decode       child: a file becomes pixels, through Pillow, within bounds
    recognise    child: pixels become lines of text, through rapidocr
    sandbox      child: the process, confined; `python -m hub.planning.ocr.sandbox`
    worker       one child from its parent's side
    reader       the port: a queue, children that come and go; what planning gets of them
    build        that, as hub.toml wants it

`decode` and `recognise` need the extra `ocr` and are imported by the child alone: nothing that decodes runs in the hub.
"""
