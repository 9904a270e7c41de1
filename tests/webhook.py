"""A server on this machine that takes what alert channels post, and answers as badly as a test likes."""

from __future__ import annotations

import json
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self


class Webhook:
    """By path `statuses`, `delays` (seconds) and `drops` (of so many connections all but one are cut, unread).
    `posts` are the bodies that came, in their order, `taken` those that are answered as well received."""

    def __init__(self) -> None:
        self.statuses: dict[str, int] = {}
        self.delays: dict[str, float] = {}
        self.drops: dict[str, int] = {}
        self.came: list[tuple[str, dict[str, Any]]] = []
        self.taken: list[tuple[str, dict[str, Any]]] = []
        self._connections = Counter[str]()
        self._closing = threading.Event()
        webhook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                webhook._connections[self.path] += 1
                if webhook._connections[self.path] % webhook.drops.get(self.path, 1):
                    return
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                status = webhook.statuses.get(self.path, 200)
                webhook.came.append((self.path, body))
                if status < 300:
                    webhook.taken.append((self.path, body))
                webhook._closing.wait(webhook.delays.get(self.path, 0.0))
                try:
                    self.send_response(status)
                    if status == 429:
                        self.send_header("Retry-After", "20")
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
