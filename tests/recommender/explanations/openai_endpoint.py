"""A small HTTP server that speaks OpenAI's protocol, and can be told to fail."""

import json
import re
import threading
from collections.abc import Callable
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Answering = Callable[[dict[str, Any]], str]
"""From the facts that it was given to what it says."""


class OpenAiEndpoint:
    """Listens on a port of its own until it is closed.

    Attributes:
        says: What it answers, made of the facts in the user's message.
        status: The HTTP status it answers with.
        hangs: Whether it never comes to an end.
        raw: Sent as the body, whatever that is, if given.
        requests: What it was asked, headers beside the body.
    """

    def __init__(self) -> None:
        self.says: Answering = faithful
        self.status = 200
        self.hangs = False
        self.raw: bytes | None = None
        self.requests: list[tuple[Message, dict[str, Any]]] = []
        self._let_go = threading.Event()
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                endpoint.requests.append((self.headers, body))
                self.send_response(endpoint.status)
                self.send_header("Content-Type", "text/event-stream")
                self.end_headers()
                if endpoint.raw is not None:
                    self.wfile.write(endpoint.raw)
                    return
                words = endpoint.says(json.loads(body["messages"][-1]["content"]))
                for piece in re.findall(r"\S+\s*|\s+", words):
                    self._chunk({"content": piece})
                if endpoint.hangs:
                    endpoint._let_go.wait()
                    return
                self._chunk({}, "stop")
                self.wfile.write(b"data: [DONE]\n\n")

            def _chunk(self, delta: dict[str, str], finish: str | None = None) -> None:
                choice = {"index": 0, "delta": delta, "finish_reason": finish}
                chunk = {
                    "id": "1",
                    "object": "chat.completion.chunk",
                    "created": 0,
                    "model": "small",
                    "choices": [choice],
                }
                self.wfile.write(b"data: " + json.dumps(chunk).encode() + b"\n\n")
                self.wfile.flush()

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/v1"

    def close(self) -> None:
        self._let_go.set()
        self._server.shutdown()
        self._server.server_close()


def faithful(facts: dict[str, Any]) -> str:
    """What a good model would say."""
    ground = facts["most_important_ratings"][0]["title"]
    return f"You liked {ground}. So {facts['recommended']['title']} may be for you."


def obedient(facts: dict[str, Any]) -> str:
    """What a model says that takes a title or a tag for an instruction, and falls back on doing its work."""
    recommended = facts["recommended"]
    titles = [each["title"] for each in (*facts["most_important_ratings"], *facts["recent_ratings"])]
    for name in [recommended["title"], *recommended.get("tags", ()), *titles]:
        found = re.search(r"say (\w+)", name, re.IGNORECASE)
        if found:
            return f"{found.group(1).upper()}. {faithful(facts)}"
    return faithful(facts)
