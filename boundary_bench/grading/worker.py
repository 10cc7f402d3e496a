"""A process that judges one pair after another, and dies rather than hang: ``python -m boundary_bench.grading.worker``.

It is started by ``boundary_bench.grading.isolation`` and ends with its parent, however that dies: at the end of its
pipe; where it is computing, by a look at who its parent is; where C code holds the interpreter, by the kernel's alarm.
"""

from __future__ import annotations

import gc
import json
import os
import pickle
import resource
import signal
import sys
import threading
from contextlib import suppress
from multiprocessing.connection import Connection

READY = b"ready"
LOOK_EVERY = 0.5  # seconds between two looks at the parent


def end_with(parent: int) -> None:
    """End this process soon after its parent."""
    while os.getppid() == parent:
        threading.Event().wait(LOOK_EVERY)
    os._exit(1)


def main(descriptor: int, parent: int, memory: int, deadline: float) -> None:
    """Judge what comes through the pipe until it ends. A judgement that raises ends the process.

    Args:
        memory: bytes of address space.
        deadline: seconds a judgement may take; the parent's own clock is asked first.
    """
    # to the group of processes these mean "save and stop", and the parent does: a verdict must not come of it
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    threading.Thread(target=end_with, args=(parent,), daemon=True).start()
    pipe = Connection(descriptor)
    try:
        judge = pickle.loads(pipe.recv_bytes())
        with suppress(ValueError, TypeError, KeyError):  # a reference of this form may be none of its own
            judge("x", "x+1")  # loads its libraries, on nobody's time
        gc.freeze()  # what they hold stays, and need not be searched again and again
        pipe.send_bytes(READY)
        while True:
            reference, answer = json.loads(pipe.recv_bytes())
            signal.setitimer(signal.ITIMER_REAL, deadline)
            ruling = judge(reference, answer)
            signal.setitimer(signal.ITIMER_REAL, 0)
            pipe.send_bytes(json.dumps(ruling).encode())
    except (EOFError, ConnectionError):
        return
    except MemoryError:
        os._exit(1)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4]))
