"""Services of one and of several processes, started and stopped for real."""

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, TextIO

import httpx
import psutil
import pytest

from benchmarks.faults.running_service import variables

PATH = "/api/v1/recommendations"
WITH_SLOW_ROUTE = """
import sys
from serving import app
from serving.settings import Settings

create_app = app.create_app

def waits() -> str:
    with open(sys.argv[1]) as pipe:  # until somebody writes
        return pipe.read()

def with_slow_route(settings):
    made = create_app(settings)
    page = made.router.routes.pop()
    made.add_api_route("/slow", waits)
    made.router.routes.append(page)
    return made

sys.argv[1:] = [{pipe!r}]
app.create_app = with_slow_route
app.serve(Settings.from_environment())
"""


def new_connections(address: str) -> httpx.Client:
    """A client that opens a connection for each request."""
    return httpx.Client(base_url=address, timeout=60, limits=httpx.Limits(max_keepalive_connections=0))


def refuses(address: str) -> bool:
    host, port = address.removeprefix("http://").split(":")
    try:
        socket.create_connection((host, int(port)), timeout=5).close()
    except ConnectionRefusedError:
        return True
    except ConnectionResetError:
        return False  # taken as the service closed its door
    return False


@contextlib.contextmanager
def answering_slowly(
    start_service: Callable[..., Any], folder: Path, shutdown_seconds: int
) -> Iterator[tuple[Any, "Future[httpx.Response]", TextIO]]:
    """A service with a request under way that is answered with what is written, once that is closed."""
    pipe = folder / "pipe"
    os.mkfifo(pipe)
    service = start_service(WITH_SLOW_ROUTE.format(pipe=str(pipe)), shutdown_seconds=shutdown_seconds)
    with ThreadPoolExecutor(1) as threads:
        answer = threads.submit(httpx.get, f"{service.address}/slow", timeout=60)
        writing = pipe.open("w")  # returns once the request is under way
        yield service, answer, writing


def test_a_request_under_way_is_finished_before_the_service_stops(
    start_service: Callable[..., Any], tmp_path: Path
) -> None:
    with answering_slowly(start_service, tmp_path, shutdown_seconds=30) as (service, answer, writing):
        service.process.send_signal(signal.SIGTERM)
        while not refuses(service.address):
            pass
        assert not answer.done()
        writing.write("finished")
        writing.close()
        assert answer.result().json() == "finished"
    assert service.stop() == -signal.SIGTERM


def test_a_request_that_never_ends_does_not_keep_the_service_from_stopping(
    start_service: Callable[..., Any], tmp_path: Path
) -> None:
    with answering_slowly(start_service, tmp_path, shutdown_seconds=1) as (service, answer, writing):
        service.process.send_signal(signal.SIGTERM)
        with pytest.raises(httpx.HTTPError):
            answer.result().raise_for_status()
        writing.close()  # the thread that waits for it ends with the process
    service.stop()


def test_ctrl_c_told_again_ends_the_service_at_once(
    start_service: Callable[..., Any], tmp_path: Path
) -> None:
    with answering_slowly(start_service, tmp_path, shutdown_seconds=3600) as (service, answer, writing):
        service.process.send_signal(signal.SIGINT)
        while not refuses(service.address):
            pass
        service.process.send_signal(signal.SIGINT)
        with pytest.raises(httpx.HTTPError):
            answer.result().raise_for_status()
        writing.close()
    assert service.process.wait(timeout=30) == 0
    service.stop()  # all it said is read
    assert service.said[-1].endswith("Marquee has stopped.\n"), "".join(service.said)
    errors = [line for line in service.said if " ERROR " in line]
    assert [line[line.index("ERROR") :] for line in errors] == ["ERROR Exception in ASGI application\n"]


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGINT])
def test_stopping_under_load_cuts_no_answer_short(
    start_service: Callable[..., Any], workers: int, sent: signal.Signals
) -> None:
    service = start_service(workers=workers)
    answered = threading.Semaphore(0)

    def ask_until_refused(user_id: int) -> set[int | str]:
        seen: set[int | str] = set()
        while True:
            try:
                answer = http.get(f"{PATH}/{user_id}")
            except (httpx.ConnectError, httpx.ReadError):
                return seen  # nothing listens any more, or did not yet take the connection
            except httpx.RemoteProtocolError as error:
                return seen if "without sending a response" in str(error) else seen | {str(error)}
            assert answer.json()["user_id"] == user_id
            seen.add(answer.status_code)
            answered.release()

    with new_connections(service.address) as http, ThreadPoolExecutor(8) as threads:
        asked = [threads.submit(ask_until_refused, user_id) for user_id in range(1, 9)]
        for _ in range(100):
            answered.acquire()
        processes = [service.process, *psutil.Process(service.process.pid).children(recursive=True)]
        if sent == signal.SIGINT:
            for process in processes[1:]:  # as a terminal does for Ctrl-C
                process.send_signal(sent)
        code = service.stop(sent)
        assert [result.result() for result in asked] == 8 * [{200}]
    assert code == (0 if workers > 1 or sent == signal.SIGINT else -sent)
    assert not psutil.wait_procs(processes[1:], timeout=30)[1]
    assert not any("Traceback" in line for line in service.said), "".join(service.said)


def test_workers_answer_together_and_one_that_dies_is_replaced(start_service: Callable[..., Any]) -> None:
    service = start_service(workers=2)

    def workers() -> dict[int, psutil.Process]:
        found = {}
        for child in psutil.Process(service.process.pid).children():
            with contextlib.suppress(psutil.NoSuchProcess):  # or a zombie, which is one
                if "spawn_main" in " ".join(child.cmdline()):
                    found[child.pid] = child
        return found

    before = workers()
    assert len(before) == 2
    with new_connections(service.address) as http:
        assert {http.get(f"{PATH}/3").status_code for _ in range(40)} == {200}
        counted = http.get("/metrics").text
    requests = re.search(r'request_seconds_count{method="GET",route="(\S+)",status="200"} (\S+)', counted)
    assert (requests[1], float(requests[2])) == ("/api/v1/recommendations/{user_id}", 40.0)
    assert len(re.findall(r"^marquee_release_info{.*} 1.0$", counted, flags=re.MULTILINE)) == 1

    dying = next(iter(before.values()))
    dying.kill()
    while dying.pid in workers() or len(workers()) < 2:
        assert service.process.poll() is None
    assert httpx.get(f"{service.address}{PATH}/3", timeout=60).status_code == 200
    after = workers()
    assert service.stop() == 0
    assert not psutil.wait_procs([*before.values(), *after.values()], timeout=30)[1]


def test_workers_end_when_what_started_them_is_killed_even_while_they_start(
    small_releases: Path, tmp_path: Path
) -> None:
    environment = variables(releases=small_releases, ratings=f"sqlite:///{tmp_path}/ratings.db", workers=2)
    with subprocess.Popen([sys.executable, "-m", "serving"], env=environment) as supervisor:
        found: list[psutil.Process] = []
        while len(found) < 3:  # two workers, and what keeps track of what they share
            assert supervisor.poll() is None
            found = psutil.Process(supervisor.pid).children()
        supervisor.kill()
    assert not psutil.wait_procs(found, timeout=60)[1]


def test_workers_that_cannot_start_end_the_service_with_one_message(
    start_service: Callable[..., Any], tmp_path: Path
) -> None:
    with pytest.raises(AssertionError) as said:
        start_service(workers=2, release=tmp_path / "nowhere")
    message = str(said.value).split("assert ")[0]
    assert str(tmp_path / "nowhere") in message
    assert "The service could not start; the message above says why." in message
    assert "Traceback" not in message
