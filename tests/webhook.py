"""A server on this machine that takes what alert channels post, and answers as badly as a test likes."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self


class Webhook:
    """`statuses` and `delays` (seconds) by path; `posts` are the bodies that came, in their order."""

    def __init__(self) -> None:
        self.statuses: dict[str, int] = {}
        self.delays: dict[str, float] = {}
        self.came: list[tuple[str, dict[str, Any]]] = []
        self._closing = threading.Event()
        webhook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                webhook.came.append((self.path, body))
                webhook._closing.wait(webhook.delays.get(self.path, 0.0))
                try:
                    self.send_response(webhook.statuses.get(self.path, 200))
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                except OSError:
                    pass  # it went away before its answer

            def log_message(self, format: str, *arguments: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def address(self, path: str) -> str:
        """The Apprise address of a channel that posts there."""
        return f"json://127.0.0.1:{self._server.server_port}{path}"

    def posts(self, path: str) -> list[dict[str, Any]]:
        """What came there."""
        return [body for where, body in list(self.came) if where == path]

    def titles(self, path: str) -> list[str]:
        """The titles of what came there."""
        return [post["title"] for post in self.posts(path)]
