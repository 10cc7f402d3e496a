"""A process that judges one pair after another, and dies rather than hang: ``python -m boundary_bench.grading.worker``.

``boundary_bench.grading.isolation`` starts it. It ends with its parent, for whatever reason that dies: by the end of
its pipe; while computing, by a check of its parent's id; while C code holds the interpreter, by the kernel's alarm.
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
LOOK_EVERY = 0.5  # seconds between two checks of the parent


def end_with(parent: int) -> None:
    """End this process soon after its parent."""
    while os.getppid() == parent:
        threading.Event().wait(LOOK_EVERY)
    os._exit(1)


def main(descriptor: int, parent: int, memory: int, deadline: float) -> None:
    """Judge the pairs from the pipe until it ends. A judgement that raises ends the process.

    Args:
        memory: bytes of address space.
        deadline: most seconds of a judgement, slightly more than the parent's own limit.
    """
    # to the process group these mean "save and stop", which the parent does; they must not become a verdict
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    threading.Thread(target=end_with, args=(parent,), daemon=True).start()
    pipe = Connection(descriptor)
    try:
        judge = pickle.loads(pipe.recv_bytes())
        with suppress(ValueError, TypeError, KeyError):  # a grader may not accept a reference of this form
            judge("x", "x+1")  # loads the libraries before any deadline runs
        gc.freeze()  # the libraries' objects stay, and need not be searched again and again
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
