"""Ports for tests: below the kernel's ephemeral range, and never the same one for two test processes of the machine.

A process takes a block of 50 ports with a file lock that lives as long as it does. WEIR_TEST_PORTS=18700-18799 names a range instead.
"""
import fcntl
import os
import socket
import tempfile

FIRST, LAST, BLOCK = 20000, 31999, 50
_state = {"next": None, "end": None, "lock": None}


def _take_block():
    given = os.environ.get("WEIR_TEST_PORTS")
    if given:
        first, last = (int(n) for n in given.split("-"))
        _state["next"], _state["end"] = first, last + 1
        return
    folder = os.path.join(tempfile.gettempdir(), f"weir-test-ports-{os.getuid()}")
    os.makedirs(folder, mode=0o700, exist_ok=True)
    for first in range(FIRST, LAST + 1 - BLOCK, BLOCK):
        lock = open(os.path.join(folder, str(first)), "w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            continue
        _state.update(next=first, end=first + BLOCK, lock=lock)
        _state["first"] = first
        return
    raise RuntimeError("no free block of test ports")


def _is_free(port):
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            s.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def free_port():
    """A port that nobody listens on now. A block is used round and round; what is still in use is passed over."""
    if _state["next"] is None:
        _take_block()
        _state["first"] = _state["next"]
    for _ in range(_state["end"] - _state["first"]):
        port = _state["next"]
        _state["next"] = port + 1 if port + 1 < _state["end"] else _state["first"]
        if _is_free(port):
            return port
    raise RuntimeError(f"all test ports from {_state['first']} to {_state['end'] - 1} are in use")
