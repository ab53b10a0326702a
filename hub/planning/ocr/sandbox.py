"""The process that decodes and reads pictures: `python -m hub.planning.ocr.sandbox SETTINGS`, its pipes held by
`hub.planning.ocr.worker`.

What comes in was made by strangers, and the libraries that take it apart are large. So this process has little to lose:
its environment is built for it, and once the models are loaded it can open nothing any more: no file and no socket
(no descriptor is left to it), write no file, gain no privilege, start no program and neither look into another process
nor signal one; started by root it is nobody by then. Memory, processor time and time are bounded.
It outlives neither its hub nor, by much, a picture that is too much for it.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from typing import BinaryIO, Final

from common.process.confine import become_nobody, end_with_parent, forbid_new_privileges, forbid_system_calls
from hub.planning.ocr import protocol
from hub.planning.ocr.protocol import OcrAnswer, OcrError, OcrErrorCode, WorkerSettings

RECOGNISE_SHARE: Final = 0.8  # of the time for a picture, after which what has been read is answered
_ADDRESS_SPACE_RESERVE: Final = 1024 * 1024 * 1024  # beyond what may be filled: libraries, reserved and never touched
_NICE: Final = 10
_OUT_OF_MEMORY: Final = ("bad_alloc", "allocate", "Insufficient memory", "MemoryError")


def restrict_process(memory: int) -> None:
    """Before anything is loaded: priority, memory, no files written, no core dump, no privileges to gain."""
    try:
        os.nice(_NICE)
    except PermissionError:
        pass  # the hub's unit forbids changes of priority; it is a courtesy, no bound
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))
    resource.setrlimit(resource.RLIMIT_AS, (memory + _ADDRESS_SPACE_RESERVE, memory + _ADDRESS_SPACE_RESERVE))
    forbid_new_privileges()
    end_with_parent()


def forbid_all_else() -> None:
    """Once everything is loaded: from here on it is nobody's process, and reaches nothing but its two pipes."""
    become_nobody()
    end_with_parent()  # again, since a change of user takes it back
    forbid_system_calls()
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, 0))


def allow_cpu_time(seconds: float, threads: int) -> None:
    """Processor time for one more picture; beyond it the kernel ends this process, hub or no hub."""
    used = time.process_time()
    soft = int(used + seconds * max(1, threads or len(os.sched_getaffinity(0)))) + 2
    resource.setrlimit(resource.RLIMIT_CPU, (soft, resource.RLIM_INFINITY))


def serve(settings: WorkerSettings, source: BinaryIO, target: BinaryIO) -> None:
    """Pictures in, answers out, until the source ends. Raises MemoryError once memory has run out."""
    # Here, since they are large and within the bounds that were set.
    from PIL import Image

    from hub.planning.ocr.decode import decode_image
    from hub.planning.ocr.recognise import Recogniser

    Image.init()  # all of Pillow's modules, while files can still be opened
    recogniser = Recogniser(settings.threads)
    forbid_all_else()
    target.write(protocol.READY)
    target.flush()
    while head := source.read(protocol.LENGTH_BYTES):
        data = source.read(int.from_bytes(head, "big"))
        until = time.monotonic() + RECOGNISE_SHARE * settings.seconds
        allow_cpu_time(settings.seconds, settings.threads)
        answer: OcrAnswer | OcrErrorCode
        try:
            answer = recogniser.read(decode_image(data, settings), until)
        except OcrError as refused:
            answer = refused.code
        except Exception as error:  # onnxruntime and OpenCV have words of their own for it
            if any(sign in str(error) for sign in _OUT_OF_MEMORY):
                raise MemoryError from None
            raise
        target.write(protocol.encode_answer(answer))
        target.flush()


def main() -> None:
    settings = WorkerSettings(**json.loads(sys.argv[1]))
    restrict_process(settings.memory)
    # What libraries print must not get between the answers.
    target = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    try:
        serve(settings, sys.stdin.buffer, target)
    except ImportError:
        sys.exit(protocol.EXIT_UNABLE)
    except MemoryError:
        os._exit(protocol.EXIT_MEMORY)  # at once: ending in order takes memory too
    except BrokenPipeError:
        pass  # the hub is gone


if __name__ == "__main__":
    main()
