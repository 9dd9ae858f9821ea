"""Several processes that answer at one address."""

import gc
import logging
import multiprocessing
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable
from functools import partial
from multiprocessing.connection import wait

import uvicorn
from fastapi import FastAPI
from uvicorn.config import STARTUP_FAILURE
from uvicorn.supervisors import Multiprocess

from recommender.errors import MarqueeError
from recommender.scratch_folder import ScratchFolder
from serving.access.http_head import HeadLimits
from serving.records import logs
from serving.records.metrics import SHARED_FOLDER
from serving.settings import Settings

_LOG = logging.getLogger("marquee.serving")
_SLOWEST_START = 60


def server_config(app: FastAPI | Callable[[], FastAPI], settings: Settings) -> uvicorn.Config:
    """How a server runs: as quiet as the service wants it, and with a limit on the requests under way."""
    return uvicorn.Config(
        app,
        factory=not isinstance(app, FastAPI),
        workers=settings.workers,
        log_config=None,
        log_level="warning",
        access_log=False,
        http=HeadLimits,
        ws="none",
        proxy_headers=False,  # the app believes the proxies it is told to trust, and no others
        server_header=False,
        timeout_graceful_shutdown=settings.shutdown_seconds,
        timeout_worker_healthcheck=_SLOWEST_START,
    )


def start_app(create_app: Callable[[Settings], FastAPI], settings: Settings) -> FastAPI:
    """The app of this process, made to last.

    Everything loaded by now stays until the end. The garbage collector is told so: else each full collection
    looks through all of it, and every request at that moment waits.
    """
    app = create_app(settings)
    gc.collect()
    gc.freeze()
    return app


def announce(listener: socket.socket) -> None:
    """Say where the service listens."""
    host, port = listener.getsockname()[:2]
    _LOG.info("Marquee listens at http://%s:%d/", f"[{host}]" if ":" in host else host, port)


def run_workers(
    create_app: Callable[[Settings], FastAPI], settings: Settings, listener: socket.socket
) -> None:
    """Answer with several processes until interrupted; one that dies is replaced.

    Args:
        create_app: makes the app of one process; a function that a new process can import.
        settings: how the service runs.
        listener: bound to the address; each process takes connections from it once it can answer.

    Raises:
        MarqueeError: a process could not start; its own message said why.
    """
    with ScratchFolder("marquee-worker-metrics-") as folder:
        os.environ[SHARED_FOLDER] = str(folder.path)  # the processes inherit it
        supervisor = _Supervisor(server_config(partial(_app, create_app, settings), settings), [listener])
        supervisor.run()
        del os.environ[SHARED_FOLDER]
    if any(process.exitcode == STARTUP_FAILURE for process in supervisor.processes):
        raise MarqueeError("The service could not start; the message above says why.")


class _Supervisor(Multiprocess):
    """Says where the service listens once every process answers."""

    _announced = False

    def init_processes(self) -> None:
        """Start the processes."""
        super().init_processes()
        self._leave_pipes()

    def keep_subprocess_alive(self) -> None:
        """Replace processes that died."""
        super().keep_subprocess_alive()
        self._leave_pipes()
        if not self._announced and all(process.is_ready() for process in self.processes):
            self._announced = True
            announce(self.sockets[0])

    def _leave_pipes(self) -> None:
        """Leave each process the only one at its end of the pipe, so that the pipe ends when it dies."""
        for process in self.processes:
            process.child_conn.close()


def _app(create_app: Callable[[Settings], FastAPI], settings: Settings) -> FastAPI:
    """The app of this process; ends it with one message where a person has to mend something."""
    logs.configure(settings.log_format)
    threading.Thread(target=_end_with_supervisor, daemon=True).start()
    try:
        return start_app(create_app, settings)
    except MarqueeError as error:
        _LOG.error("%s", error)
        sys.exit(STARTUP_FAILURE)


def _end_with_supervisor() -> None:
    """Stop this process once the one that started it is gone, even one that was killed and said nothing."""
    supervisor = multiprocessing.parent_process()
    assert supervisor is not None, "a process that another started"
    wait([supervisor.sentinel])
    os.kill(os.getpid(), signal.SIGTERM)
