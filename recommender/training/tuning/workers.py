"""Several processes on this machine that try configurations at the same time.

They get their trials from Keras Tuner's oracle service, which runs in the process that started them.
"""

import contextlib
import logging
import logging.handlers
import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from concurrent import futures
from multiprocessing.connection import Connection, wait
from types import SimpleNamespace
from typing import Any, Never

import grpc
from keras_tuner.src import protos
from keras_tuner.src.distribute.oracle_chief import OracleServicer

from recommender.errors import TrainingError
from recommender.training.tuning.search import Search, Tuner

_HOST = "127.0.0.1"

logger = logging.getLogger(__name__)


def run_workers(search: Search, chief: Tuner) -> None:
    """Search with `search.config.workers` processes until there is nothing left to try.

    Args:
        search: What every worker needs to know.
        chief: Whose oracle hands out trials and keeps the state of the search.

    Raises:
        TrainingError: a worker died; what the others had finished is kept.
    """
    context = multiprocessing.get_context("spawn")  # TensorFlow does not survive a fork
    with _oracle_service(chief.oracle) as port:
        logs: list[Connection] = []
        workers = []
        try:
            for number in range(search.config.workers):
                receiver, sender = context.Pipe(duplex=False)
                worker = context.Process(
                    target=_work, args=(search, port, sender), name=f"worker {number + 1}", daemon=True
                )
                worker.start()
                sender.close()  # so that the pipe ends with the worker
                logs.append(receiver)
                workers.append(worker)
            _pass_on(logs)
            for worker in workers:
                worker.join()
                if worker.exitcode:
                    raise TrainingError(
                        f"The search's {worker.name} ended with exit code {worker.exitcode}: the log of the "
                        "Tuner step says why. What was finished is kept: the same command goes on after it."
                    )
        finally:
            for worker in workers:
                worker.kill()  # nothing of theirs is lost: the oracle is here
                worker.join()


@contextlib.contextmanager
def _oracle_service(oracle: Any) -> Iterator[int]:
    """Serve the oracle; gives the port. Keras Tuner's own server waits up to 20 s for its end."""
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=1))
    protos.get_service_grpc().add_OracleServicer_to_server(OracleServicer(oracle), server)
    port = server.add_insecure_port(f"{_HOST}:0")
    server.start()
    try:
        yield port
    finally:
        server.stop(grace=None)


def _pass_on(logs: list[Connection]) -> None:
    """Log here what workers log, until all of them have ended or one has died."""
    while logs:
        for log in wait(logs):
            assert isinstance(log, Connection)
            try:
                record: logging.LogRecord = log.recv()
            except (EOFError, OSError):
                logs.remove(log)
                continue
            record.msg = f"{record.processName}: {record.msg}"
            logging.getLogger(record.name).handle(record)


def _work(search: Search, port: int, log: Connection) -> None:
    """What a worker does."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever started the worker ends it
    threading.Thread(target=_end_with_parent, daemon=True).start()
    library = logging.getLogger("recommender")
    # A pipe for each worker, because one killed while it writes to a shared queue would block the others.
    library.handlers = [logging.handlers.QueueHandler(SimpleNamespace(put_nowait=log.send))]
    library.setLevel(logging.INFO)
    library.propagate = False
    name = multiprocessing.current_process().name
    os.environ |= {
        "KERASTUNER_TUNER_ID": name,
        "KERASTUNER_ORACLE_IP": _HOST,
        "KERASTUNER_ORACLE_PORT": str(port),
        "no_grpc_proxy": _HOST,
        "TF_FORCE_GPU_ALLOW_GROWTH": "true",  # workers share what GPU there is
    }
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(
        max(1, (os.cpu_count() or 1) // search.config.workers)
    )
    try:
        Tuner(search).search()
    except grpc.RpcError as error:
        logger.error("the search gave up: %s", error)
        raise SystemExit(1) from error


def _end_with_parent() -> Never:
    """Stop when the process that started this one is killed: nobody would take the results."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
