"""What stands between a bot and its limiter, and loses answers."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx

LOST = (None, 502, 503, 504)
"""How a proxy tells that it has no answer: it closes the connection, or it gives one of its own."""


class Forgetful(ThreadingHTTPServer):
    """A proxy that passes everything on, but loses the first answer to each of some paths after the limiter gave it."""

    daemon_threads = True

    def __init__(self, limiter: str, paths: tuple[str, ...], status: int | None) -> None:
        super().__init__(("127.0.0.1", 0), _Passing)
        self.limiter, self.to_lose, self.status = limiter, set(paths), status
        self.heard = list[str]()
        """The path of each request, in order."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Passing(BaseHTTPRequestHandler):
    server: Forgetful

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        headers = {name: text for name, text in self.headers.items() if name != "Host"}
        self.server.heard.append(self.path)
        answer = httpx.post(self.server.limiter + self.path, content=body, headers=headers, trust_env=False)
        if self.path not in self.server.to_lose:
            return self._say(answer.status_code, answer.headers["Content-Type"], answer.content)
        self.server.to_lose.remove(self.path)
        if self.server.status is not None:  # else the connection is closed without a word
            self._say(self.server.status, "text/html", b"<html>Bad Gateway</html>")

    def _say(self, status: int, kind: str, content: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *arguments: Any) -> None:
        pass


@contextmanager
def forgetful(limiter: str, *paths: str, status: int | None = None) -> Iterator[Forgetful]:
    """Such a proxy of the limiter at that URL: it answers `status`, or nothing. All of `paths` must have been asked."""
    with Forgetful(limiter, paths, status) as proxy:
        thread = threading.Thread(target=proxy.serve_forever, daemon=True)
        thread.start()
        try:
            yield proxy
        finally:
            proxy.shutdown()
            thread.join()
    assert not proxy.to_lose
