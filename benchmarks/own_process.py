"""Running what is measured in a process of its own, so that its memory is its own."""

import contextlib
import logging
import multiprocessing
import sys
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final

import psutil

_KILOBYTES_IN_GB: Final = 1e6


def in_own_process(work: Callable[..., Any], *arguments: Any) -> Any:
    """What a function returns in a fresh process, to which it and its arguments must be known by name."""
    processes = multiprocessing.get_context("spawn")
    receiver, sender = processes.Pipe(duplex=False)
    process = processes.Process(target=_work_and_tell, args=(sender, work, arguments))
    process.start()
    sender.close()
    try:
        result = receiver.recv()
    except EOFError:
        process.join()
        raise SystemExit(f"{work.__name__} failed: see above.") from None
    process.join()
    return result


def peak_gb() -> float:
    """The most memory that this process and those it started, as Spark's, had resident."""
    # Not getrusage, which counts what the process that started this one held.
    processes = (psutil.Process(), *psutil.Process().children(recursive=True))
    kilobytes = 0
    for process in processes:
        with contextlib.suppress(FileNotFoundError):
            status = Path(f"/proc/{process.pid}/status").read_text()
            # One that has just ended has no such line.
            kilobytes += int(status.partition("VmHWM:")[2].partition("kB")[0] or 0)
    return kilobytes / _KILOBYTES_IN_GB


def _work_and_tell(sender: Connection, work: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    sender.send(work(*arguments))
