"""What of Qdrant's REST interface Marquee uses, in front of qdrant-client's own engine in memory.

Where there is no Qdrant server, it shows that requests and answers go over the wire as they should.
"""

import json
import re
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from pydantic import TypeAdapter
from qdrant_client import QdrantClient, models


def answer(engine: QdrantClient, method: str, path: str, body: Any) -> Any:
    """What the server would put under `result`."""
    found = re.fullmatch(r"/(aliases|collections)(?:/([^/]+))?(?:/(.+))?", path)
    assert found, path
    name, rest = found[2], found[3] or ""
    match method, found[1], rest:
        case "GET", "aliases", _:
            return engine.get_aliases()
        case "POST", "collections", "" if name == "aliases":
            actions = TypeAdapter(models.ChangeAliasesOperation).validate_python(body).actions
            return engine.update_collection_aliases(actions)
        case "GET", "collections", "" if name is None:
            return engine.get_collections()
        case "GET", _, "exists":
            return {"exists": engine.collection_exists(name)}
        case "GET", _, "":
            return engine.get_collection(name)
        case "DELETE", _, "":
            return engine.delete_collection(name)
        case "PUT", _, "":
            wanted = models.CreateCollection.model_validate(body)
            return engine.create_collection(name, wanted.vectors, metadata=wanted.metadata)
        case "PATCH", _, "":
            return engine.update_collection(name, metadata=body["metadata"])
        case "PUT", _, "index":
            return {"status": "completed", "operation_id": 0}
        case "PUT", _, "points":
            return engine.upsert(name, models.PointsBatch.model_validate(body).batch)
        case "POST", _, "points/count":
            return engine.count(name)
        case "POST", _, "points/query/batch":
            batch = models.QueryRequestBatch.model_validate(body)
            return engine.query_batch_points(name, batch.searches)
    raise AssertionError(f"{method} {path}")


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of a client that left before it had its answer."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


@contextmanager
def qdrant_over_http() -> Iterator[str]:
    """Serve an empty engine until the context ends; gives its address."""
    engine, lock = QdrantClient(":memory:"), threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self) -> None:
            text = self.rfile.read(int(self.headers.get("content-length", 0)))
            with lock, warnings.catch_warnings(action="ignore"):
                result = answer(engine, self.command, self.path.partition("?")[0], json.loads(text or "{}"))
            plain = TypeAdapter(Any).dump_python(result, mode="json", by_alias=True)
            body = json.dumps({"time": 0, "status": "ok", "result": plain}).encode()
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _answer  # noqa: N815

        def log_message(self, *args: object) -> None:
            """Say nothing."""

    with _Server(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
