"""The terminal itself: what is written to it, what comes from it, what it can show.

terminal      the App's driver side: frames out at a rate that the link carries
frame         the last frame and the next, as the fewest bytes
frame_rate    when the next frame is due; key_repeat: held keys
sanitize      no control byte of others reaches a terminal, and no character that it has no sign for
restore       the terminal given back, whatever ends the console
style         colours as SGR; theme and theme_names: the palettes
editor        $EDITOR, outside the console
textual_private
              the private names of Textual and Rich that the console uses
"""
