import contextlib
import datetime
import hashlib
import http.server
import ipaddress
import logging
import os
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from recommender.data.fetching.download import fetch, fetch_text
from recommender.data.fetching.pinned_file import FetchedFile, PinnedFile
from recommender.errors import FetchError

CONTENT = bytes(range(256)) * 4_000
SHA256 = hashlib.sha256(CONTENT).hexdigest()
PINNED = PinnedFile("ml-tiny.zip", "https://example.org/ml-tiny.zip", SHA256, len(CONTENT))
ALTERED = CONTENT[:-1] + b"?"

Respond = Callable[[http.server.BaseHTTPRequestHandler], None]


def whole(
    content: bytes = CONTENT, *, cut: int | None = None, etag: str = '"v1"', length: bool = True
) -> Respond:
    """Send all of it whatever range is asked for, or break off after `cut` bytes."""

    def respond(handler: http.server.BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("ETag", etag)
        if length:
            handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content[:cut])

    return respond


def ranged(content: bytes = CONTENT, *, etag: str = '"v1"', cut: int | None = None) -> Respond:
    """Send what is asked for, as RFC 9110 has it."""

    def respond(handler: http.server.BaseHTTPRequestHandler) -> None:
        asked = handler.headers["Range"]
        if asked is None or handler.headers["If-Range"] not in {None, etag}:
            whole(content, etag=etag, cut=cut)(handler)
            return
        start = int(asked.removeprefix("bytes=").removesuffix("-"))
        handler.send_response(206)
        handler.send_header("ETag", etag)
        handler.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        handler.send_header("Content-Length", str(len(content) - start))
        handler.end_headers()
        handler.wfile.write(content[start:][:cut])

    return respond


def status(code: int, **headers: str) -> Respond:
    def respond(handler: http.server.BaseHTTPRequestHandler) -> None:
        handler.send_response(code)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    return respond


class Mirror:
    """A real HTTP server that answers in turn as it is told, then as it should, and keeps what was asked."""

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        self.next: list[Respond] = []
        self.then: Respond = ranged()
        self.requests: list[http.server.BaseHTTPRequestHandler] = []
        mirror = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                mirror.requests.append(self)
                (mirror.next.pop(0) if mirror.next else mirror.then)(self)

            def log_message(self, *args: object) -> None:
                pass

        class Server(http.server.ThreadingHTTPServer):
            def handle_error(self, *args: object) -> None:
                """A client that was killed or refuses the certificate is no news."""

        self.server = Server(("127.0.0.1", 0), Handler)
        if context is not None:
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.address = f"http{'s' if context else ''}://127.0.0.1:{self.server.server_port}/"

    @property
    def ranges(self) -> list[str | None]:
        return [request.headers["Range"] for request in self.requests]

    @contextlib.contextmanager
    def running(self) -> Iterator["Mirror"]:
        thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield self
        self.server.shutdown()
        thread.join()
        self.server.server_close()


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch):
    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)


@pytest.fixture
def mirror() -> Iterator[Mirror]:
    with Mirror().running() as mirror:
        yield mirror


@pytest.fixture
def other() -> Iterator[Mirror]:
    with Mirror().running() as mirror:
        yield mirror


@pytest.fixture
def nobody_there() -> str:
    """An address that nothing listens at."""
    with http.server.HTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler) as server:
        return f"http://127.0.0.1:{server.server_port}/"


@pytest.fixture
def pauses() -> list[float]:
    """The pauses that were not waited for, in seconds."""
    return []


@pytest.fixture
def get(mirror, tmp_path, pauses):
    """Fetch the file from the mirror, or from others."""

    def get(*mirrors: str, pinned: PinnedFile = PINNED, **more) -> FetchedFile:
        return fetch(pinned, mirrors or [mirror.address], tmp_path / "kept", pause=pauses.append, **more)

    return get


@pytest.fixture
def part(tmp_path) -> Path:
    (tmp_path / "kept").mkdir()
    return tmp_path / "kept/ml-tiny.zip.part"


def left_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_fetched_file_is_kept_under_its_name_and_nothing_else_is(mirror, get, tmp_path):
    assert get() == FetchedFile(tmp_path / "kept/ml-tiny.zip", mirror.address + "ml-tiny.zip", SHA256)
    assert (tmp_path / "kept/ml-tiny.zip").read_bytes() == CONTENT
    assert left_in(tmp_path / "kept") == ["ml-tiny.zip"]


def test_what_was_fetched_before_is_not_fetched_again(mirror, get, tmp_path):
    get()
    assert get() == FetchedFile(tmp_path / "kept/ml-tiny.zip", PINNED.address, SHA256)
    assert len(mirror.requests) == 1


def test_what_was_fetched_before_but_altered_since_is_fetched_again(get, part):
    part.with_suffix("").write_bytes(ALTERED)
    assert get().path.read_bytes() == CONTENT


def test_progress_is_told_to_the_last_byte(get):
    told = []
    get(on_progress=lambda size, total: told.append((size, total)))
    assert told == sorted(told)
    assert told[-1] == (len(CONTENT), len(CONTENT))


def test_a_transfer_that_breaks_off_is_gone_on_with(mirror, get):
    mirror.next = [ranged(cut=300_000), ranged(cut=400_000)]
    assert get().path.read_bytes() == CONTENT
    first, *later = mirror.ranges
    starts = [int(asked.removeprefix("bytes=").removesuffix("-")) for asked in later]
    assert first is None
    assert 0 < starts[0] <= 300_000 < starts[1] <= 700_000
    assert [request.headers["If-Range"] for request in mirror.requests] == [None, '"v1"', '"v1"']


def test_breaks_do_not_use_up_patience_as_long_as_more_comes(mirror, get):
    mirror.next = [ranged(cut=70_000) for _ in range(12)]
    assert get().path.read_bytes() == CONTENT
    assert len(mirror.requests) == 13


def test_a_part_is_gone_on_with_by_the_next_call(mirror, get, part):
    mirror.next = [ranged(cut=300_000), *[status(503)] * 5]
    with pytest.raises(FetchError, match="answered 503"):
        get()
    size = part.stat().st_size
    assert 0 < size <= 300_000
    assert get().path.read_bytes() == CONTENT
    assert mirror.ranges[-1] == f"bytes={size}-"
    assert left_in(part.parent) == ["ml-tiny.zip"]


def test_a_part_is_gone_on_with_from_another_mirror(mirror, other, get, part):
    mirror.next = [ranged(cut=300_000)]
    mirror.then = status(404)
    other.then = ranged(etag='"what the other one calls it"')
    assert get(mirror.address, other.address).path.read_bytes() == CONTENT
    assert 0 < int(other.ranges[0].removeprefix("bytes=").removesuffix("-")) <= 300_000
    assert other.requests[0].headers["If-Range"] is None


def test_a_part_of_another_version_is_started_over(mirror, get):
    mirror.next = [ranged(ALTERED, etag='"v0"', cut=300_000)]
    assert get().path.read_bytes() == CONTENT
    assert mirror.requests[1].headers["If-Range"] == '"v0"'
    assert len(mirror.requests) == 2


@pytest.mark.parametrize("answer", [whole(), status(416), status(206, Content_Range="bytes 7-9/1024000")])
def test_a_mirror_that_cannot_go_on_is_asked_for_the_whole(mirror, get, part, answer):
    part.write_bytes(CONTENT[:1000])
    mirror.next = [answer]
    assert get().path.read_bytes() == CONTENT
    assert mirror.ranges[0] == "bytes=1000-"
    assert mirror.ranges[1:] in ([], [None])


def test_a_part_that_is_longer_than_the_file_is_started_over(mirror, get, part):
    part.write_bytes(CONTENT + b"?")
    assert get().path.read_bytes() == CONTENT
    assert mirror.ranges == [None]


def test_a_part_that_only_lacks_its_name_is_not_fetched_again(mirror, get, part):
    part.write_bytes(CONTENT)
    assert get().path.read_bytes() == CONTENT
    assert mirror.requests == []


def test_pieces_that_do_not_fit_together_are_fetched_once_more_from_the_start(mirror, get, part):
    part.write_bytes(b"?" * 1000)
    assert get().path.read_bytes() == CONTENT
    assert mirror.ranges == ["bytes=1000-", None]


def test_pieces_of_another_file_are_given_up_after_the_second_time(mirror, get, part):
    part.write_bytes(CONTENT[:1000])
    mirror.then = ranged(ALTERED)
    with pytest.raises(FetchError, match="is not the file that was asked for"):
        get()
    assert mirror.ranges == ["bytes=1000-", None]
    assert left_in(part.parent) == []


def test_an_answer_that_ends_early_without_saying_its_length_is_gone_on_with(mirror, get):
    mirror.next = [whole(CONTENT[:300_000], length=False)]
    assert get().path.read_bytes() == CONTENT
    assert mirror.ranges[1] == "bytes=300000-"


def test_a_killed_download_is_gone_on_with(mirror, get, part):
    hold = threading.Event()

    def stop_midway(handler):
        whole(cut=600_000)(handler)
        hold.wait()

    mirror.next = [stop_midway]
    program = (
        "import sys; from pathlib import Path\n"
        "from recommender.data.fetching.download import fetch\n"
        "from recommender.data.fetching.pinned_file import PinnedFile\n"
        f"pinned = PinnedFile({PINNED.name!r}, '', {SHA256!r}, {len(CONTENT)})\n"
        "fetch(pinned, [sys.argv[1]], Path(sys.argv[2]), on_progress=lambda *told: print(*told, flush=True))"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, mirror.address, str(part.parent)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[4],
    ) as process:
        for line in process.stdout:
            if int(line.split()[0]) >= 500_000:
                break
        process.kill()
    hold.set()
    assert part.stat().st_size >= 500_000
    size = part.stat().st_size
    assert get().path.read_bytes() == CONTENT
    assert mirror.ranges == [None, f"bytes={size}-"]
    assert left_in(part.parent) == ["ml-tiny.zip"]


def test_of_two_that_fetch_the_same_file_one_waits_for_the_other(mirror, get, caplog):
    caplog.set_level(logging.INFO)
    begun, second_waits = threading.Event(), threading.Event()

    class Watch(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if "waiting for it" in record.getMessage():
                second_waits.set()

    def half_then_wait(handler):
        whole(cut=500_000)(handler)
        handler.wfile.flush()
        begun.set()
        assert second_waits.wait(30)
        handler.wfile.write(CONTENT[500_000:])

    mirror.next = [half_then_wait]
    watch = Watch()
    logging.getLogger("recommender.data.fetching.part").addHandler(watch)
    with ThreadPoolExecutor() as threads:
        first = threads.submit(get)
        assert begun.wait(30)
        second = threads.submit(get)
        assert first.result().path.read_bytes() == second.result().path.read_bytes() == CONTENT
    logging.getLogger("recommender.data.fetching.part").removeHandler(watch)
    assert len(mirror.requests) == 1
    assert left_in(first.result().path.parent) == ["ml-tiny.zip"]


def test_the_next_mirror_is_tried_when_one_is_not_there(mirror, nobody_there, get, tmp_path):
    mirror.next = [status(404)]
    mirrors = [nobody_there, (tmp_path / "nowhere").as_uri(), mirror.address + "missing/", mirror.address]
    assert get(*mirrors).address == mirror.address + "ml-tiny.zip"


@pytest.mark.parametrize("code", [403, 404, 410, 501])
def test_what_will_not_pass_is_asked_for_once(mirror, get, pauses, code):
    mirror.then = status(code)
    with pytest.raises(FetchError, match=f"ml-tiny.zip could not be fetched: the mirror answered {code}"):
        get()
    assert (len(mirror.requests), pauses) == (1, [])


@pytest.mark.parametrize("code", [429, 500, 502, 503, 504])
def test_what_may_pass_is_asked_for_again_with_growing_pauses(mirror, get, pauses, code):
    mirror.then = status(code)
    with pytest.raises(FetchError, match=f"answered {code}"):
        get()
    assert len(mirror.requests) == 5
    # Twice as long each time, and up to a second more, so that not everybody comes back at once.
    for pause, least in zip(pauses, [0, 2, 4, 8], strict=True):
        assert least <= pause <= least + 1


def test_a_mirror_that_resets_the_connection_is_asked_again(mirror, get):
    mirror.next = [lambda handler: handler.connection.close()]
    assert get().path.read_bytes() == CONTENT
    assert len(mirror.requests) == 2


def test_a_mirror_may_say_how_long_to_wait(mirror, get, pauses):
    mirror.next = [status(503, Retry_After="7"), status(429, Retry_After="not a number")]
    assert get().path.read_bytes() == CONTENT
    assert pauses[0] == 7
    assert 2 <= pauses[1] <= 3


def test_a_mirror_that_asks_for_an_hour_is_passed_over(mirror, other, get, pauses, caplog):
    mirror.then = status(503, Retry_After="3600")
    assert get(mirror.address, other.address).address.startswith(other.address)
    assert (len(mirror.requests), pauses) == (1, [])
    assert "wait for 3,600 s" in caplog.text


def test_redirects_are_followed(mirror, other, get):
    mirror.then = status(302, Location=other.address + "elsewhere/ml-tiny.zip")
    assert get().path.read_bytes() == CONTENT
    assert [request.path for request in other.requests] == ["/elsewhere/ml-tiny.zip"]


@pytest.mark.parametrize("scheme", ["http://", ""])
def test_the_proxy_of_the_environment_is_used_with_its_credentials(mirror, get, monkeypatch, scheme):
    monkeypatch.setenv("http_proxy", mirror.address.replace("http://", f"{scheme}me:se%40cret@"))
    assert get("http://mirror.invalid/").path.read_bytes() == CONTENT
    assert mirror.requests[0].path == "http://mirror.invalid/ml-tiny.zip"
    assert mirror.requests[0].headers["Proxy-Authorization"] == "Basic bWU6c2VAY3JldA=="  # me:se@cret


def test_another_file_under_that_name_is_refused_and_removed(mirror, get, tmp_path):
    mirror.then = ranged(ALTERED)
    with pytest.raises(FetchError) as caught:
        get()
    received = hashlib.sha256(ALTERED).hexdigest()
    for part in (mirror.address + PINNED.name, SHA256, received, "1,024,000 bytes", "another mirror"):
        assert part in str(caught.value)
    assert left_in(tmp_path / "kept") == []


def test_an_error_page_in_place_of_the_file_does_not_cost_the_part(mirror, other, get, part):
    mirror.next = [ranged(cut=300_000), whole(b"<html>Please log in</html>", etag='"page"')]
    mirror.then = status(404)
    assert get(mirror.address, other.address).path.read_bytes() == CONTENT
    assert 0 < int(other.ranges[0].removeprefix("bytes=").removesuffix("-")) <= 300_000


def test_an_endless_answer_is_not_read_to_its_end(mirror, get, tmp_path):
    mirror.then = whole(CONTENT * 10, length=False)
    with pytest.raises(FetchError, match="expected 1,024,000 bytes") as caught:
        get()
    assert f"{len(CONTENT) * 10:,}" not in str(caught.value)
    assert left_in(tmp_path / "kept") == []


def test_a_mirror_with_another_file_is_passed_over_with_a_warning(mirror, get, tmp_path, caplog):
    (tmp_path / "stale").mkdir()
    (tmp_path / "stale" / PINNED.name).write_bytes(b"something else")
    assert get((tmp_path / "stale").as_uri(), mirror.address).path.read_bytes() == CONTENT
    assert [record.levelname for record in caplog.records if "not the file" in record.message] == ["WARNING"]


def test_the_error_names_every_mirror_that_was_tried(nobody_there, get, tmp_path):
    nowhere = (tmp_path / "nowhere").as_uri()
    with pytest.raises(FetchError) as caught:
        get(nobody_there, nowhere, "http://[", "ftp://example.org", "/data")
    for mirror in (nobody_there.rstrip("/"), nowhere, "http://["):
        assert f"{mirror}/ml-tiny.zip could not be fetched" in str(caught.value)
    for mirror in ("ftp://example.org", "/data"):
        assert f"{mirror}/ml-tiny.zip is not an address that starts with https://" in str(caught.value)
    assert left_in(tmp_path / "kept") == []


def test_a_file_that_is_only_known_by_its_md5_is_verified_by_it(mirror, get):
    md5 = hashlib.md5(CONTENT).hexdigest()
    known = PinnedFile(PINNED.name, PINNED.address, sha256=None, md5=md5)
    mirror.next = [ranged(ALTERED)]
    with pytest.raises(FetchError, match=f"expected md5 {md5}, received 1,024,000 bytes with md5"):
        get(pinned=known)
    assert get(pinned=known).sha256 == SHA256


def test_a_full_disk_is_told_with_the_folder(get, part):
    part.symlink_to("/dev/full")
    with pytest.raises(FetchError, match=r"cannot be written into .*kept: No space left on device"):
        get()


def test_a_folder_that_cannot_be_written_to_is_told(get, tmp_path):
    (tmp_path / "kept").write_text("a file")
    with pytest.raises(FetchError, match=r"cannot be written into .*kept: (File exists|Not a directory)"):
        get()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission_is_told(get, part):
    part.parent.chmod(0o500)
    with pytest.raises(FetchError, match=r"cannot be written into .*kept: Permission denied"):
        get()


def test_a_short_text_is_fetched_and_a_long_one_refused(mirror, pauses):
    mirror.next = [status(503), whole(b"hello\n")]
    assert fetch_text(mirror.address + "text", pause=pauses.append) == "hello\n"
    with pytest.raises(FetchError, match="more than 65,536 bytes"):
        fetch_text(mirror.address + "text")


def certificate(folder: Path, *, days: int) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 that signs itself and ends in so many days, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    end = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=days)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(end - datetime.timedelta(days=90))
        .not_valid_after(end)
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    (folder / "certificate.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return folder / "certificate.pem", folder / "key.pem"


@contextlib.contextmanager
def tls_mirror(folder: Path, *, days: int = 30) -> Iterator[tuple[Mirror, Path]]:
    own, key = certificate(folder, days=days)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(own, key)
    with Mirror(context).running() as mirror:
        yield mirror, own


def test_a_certificate_that_nobody_vouches_for_is_refused_and_a_mirror_named_as_remedy(tmp_path, get, pauses):
    with tls_mirror(tmp_path) as (mirror, _):
        with pytest.raises(FetchError) as caught:
            get(mirror.address)
    for part in ("self-signed certificate", "another mirror", "--mirror", "always checked", "SSL_CERT_FILE"):
        assert part in str(caught.value)
    assert (mirror.requests, pauses) == ([], [])


def test_a_certificate_that_has_expired_is_refused_whoever_vouches_for_it(tmp_path, get, monkeypatch):
    with tls_mirror(tmp_path, days=-1) as (mirror, own):
        monkeypatch.setenv("SSL_CERT_FILE", str(own))
        with pytest.raises(FetchError, match="certificate has expired"):
            get(mirror.address)


def test_a_certificate_that_the_system_trusts_is_accepted(tmp_path, get, monkeypatch):
    with tls_mirror(tmp_path) as (mirror, own):
        monkeypatch.setenv("SSL_CERT_FILE", str(own))
        assert get(mirror.address).path.read_bytes() == CONTENT


def test_encryption_is_not_given_up_on_the_way(mirror, tmp_path, get, monkeypatch):
    with tls_mirror(tmp_path) as (encrypted, own):
        monkeypatch.setenv("SSL_CERT_FILE", str(own))
        encrypted.then = status(302, Location=mirror.address + "ml-tiny.zip")
        with pytest.raises(FetchError, match="which is not encrypted"):
            get(encrypted.address)
