"""What holds for every test."""

from __future__ import annotations

import signal

# A shell that runs a job in the background has it ignore SIGINT, and programs inherit that from whoever starts them.
# Tests interrupt the programs they start, which must find the signal as at a terminal. Each xdist worker does this.
signal.signal(signal.SIGINT, signal.default_int_handler)
