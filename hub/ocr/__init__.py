"""Pictures of messages become text. The text of a picture is hostile, and only ever data: it is shown, and it taints.

    refusal      the reasons why a picture is not read
    formats      pure: what a file says of itself before it is decoded; one still picture is cut out of it
    rows         pure: which boxes of text stand on one row of a picture that is held askew
    spaces       pure: the spaces that recognisers leave out
    words        pure: letters that look alike, put right where that makes a word
    layout       pure: recognised pieces become lines, with a terminal's columns, safe to show
    keylines     pure: the lines that tell most
    settings     the bounds of a child
    wire         pure: what hub and child say to each other, bounded and checked
    decode       child: a file becomes pixels
    recognise    child: pixels become pieces of text, through rapidocr
    child        child: the process, confined; `python -m hub.ocr.child`
    keeper       one child from its parent's side
    reader       the port: a queue, children that come and go, outcomes
    eyes         what planning sees of it

`decode` and `recognise` need the extra `ocr` and are imported by the child alone: nothing that decodes runs in the hub.
"""
