"""A server of OpenAI's completions whose answers a test writes; it takes many connections, and keeps them."""

from __future__ import annotations

import contextlib
import http.server
import json
import threading
from collections.abc import Callable
from typing import Any

Answer = tuple[int, dict[str, str], dict[str, Any]]


def text_answer(text: str) -> Answer:
    """Return the answer of a completion, and of a chat."""
    choice = {"index": 0, "text": text, "message": {"role": "assistant", "content": text}}
    return 200, {}, {"choices": [choice]}


def refusal(status: int, message: str, **headers: str) -> Answer:
    """Return a refusal in OpenAI's form."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return status, named, {"error": {"message": message}}


class ScriptedServer(http.server.ThreadingHTTPServer):
    """Answers what a function says of each request, while it is entered.

    Args:
        answer: called with the body of a request, in the thread of its connection.

    Attributes:
        bodies: of all requests.
        keys: what all requests were authorized with.
        connections: how many were opened.
    """

    request_queue_size = 256
    daemon_threads = True
    block_on_close = False

    def __init__(self, answer: Callable[[dict[str, Any]], Answer]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answer = answer
        self.bodies: list[dict[str, Any]] = []
        self.keys: list[str | None] = []
        self.connections = 0
        self._thread = threading.Thread(
            target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        )

    @property
    def url(self) -> str:
        """The address that a client is given."""
        return f"http://127.0.0.1:{self.server_port}/v1"

    def __enter__(self) -> ScriptedServer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self._thread.join()
        self.server_close()


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: ScriptedServer

    def setup(self) -> None:
        super().setup()
        self.server.connections += 1

    def log_message(self, *_: object) -> None:
        """Say nothing on standard error."""

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.bodies.append(body)
        self.server.keys.append(self.headers.get("Authorization"))
        status, headers, said = self.server.answer(body)
        content = json.dumps(said).encode()
        with contextlib.suppress(ConnectionError):  # a client that was killed
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(content))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)
