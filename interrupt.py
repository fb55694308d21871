"""Ctrl-C and SIGTERM: what is computed is kept, and where there is nothing to keep the process ends within seconds.

Python raises KeyboardInterrupt wherever it is: in a callback of the garbage collector too, where it is printed and
forgotten, and not before a long compilation has ended.  A thread that the signal wakes sees to it in both cases.
"""

import _thread
import os
import signal
import socket
import sys
import threading
import time
from typing import Any

INTERRUPTED = 130  # exit code, as shells have it
GRACE = 3.0  # seconds in which a process with nothing to keep may end by itself
_state: dict[str, Any] = {"stopping": False, "keep": False, "echoes": 0}


def keep() -> None:
    """From now on there are draws that an interrupt must not lose: it waits for what runs, unless it comes twice."""
    _state["keep"] = True


def listen() -> None:
    """Take Ctrl-C and SIGTERM in this way from now on; call it in the main thread."""
    reader, writer = socket.socketpair()
    writer.setblocking(False)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _raise)
    signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
    _state["sockets"] = (reader, writer)  # which would close if nobody held them
    threading.Thread(target=_watch, args=(reader,), daemon=True).start()
    sys.unraisablehook = _again


def leave(code: Any) -> None:
    """End the process; after an interrupt without the interpreter's own clearing up, which threads of XLA may crash."""
    if _state["stopping"]:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(INTERRUPTED if code == 1 else code)  # 1 is what Click makes of an interrupt
    sys.exit(code)


def _raise(number: int, frame: Any) -> None:
    raise KeyboardInterrupt


def _watch(reader: socket.socket) -> None:
    """Wait for signals: the first may take its time where there is something to keep, the second may not."""
    while number := reader.recv(1):
        if number[0] not in (signal.SIGINT, signal.SIGTERM):
            continue
        if _state["echoes"]:
            _state["echoes"] -= 1
        elif not _state["stopping"]:
            _state["stopping"] = True
            threading.Thread(target=_end_soon, daemon=True).start()
        elif _state["keep"]:
            os._exit(INTERRUPTED)


def _end_soon() -> None:
    time.sleep(GRACE)
    if not _state["keep"]:
        os._exit(INTERRUPTED)


def _again(unraisable: Any) -> None:
    """Once more, where nobody heard it."""
    if issubclass(unraisable.exc_type, KeyboardInterrupt):
        _state["echoes"] += 1
        threading.Timer(0.05, _thread.interrupt_main).start()
    else:
        sys.__unraisablehook__(unraisable)
