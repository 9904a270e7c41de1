"""An alert channel on this machine: takes what the limiter posts, and keeps the titles and texts."""

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

LONGEST_BYTES = 100_000


class Channel:
    """`address` is what Apprise is given; `came` are the messages, title and text, in their order."""

    def __init__(self) -> None:
        self.came: list[tuple[str, str]] = []
        came = self.came

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                size = min(LONGEST_BYTES, int(self.headers.get("Content-Length", 0)))
                told = json.loads(self.rfile.read(size))
                came.append((str(told["title"]), str(told["message"])))
                self.send_response(204)
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self.address = f"json://127.0.0.1:{self._server.server_port}/"

    def open(self) -> None:
        """Take messages from here on."""
        self._thread.start()

    def close(self) -> None:
        """Take no more."""
        self._server.shutdown()
        self._server.server_close()

    def wait_for(self, title: str, seconds: float) -> list[tuple[str, str]]:
        """The messages of that title, as soon as there is one or that time is over."""
        end = time.monotonic() + seconds
        while not (found := [one for one in self.came if one[0] == title]) and time.monotonic() < end:
            time.sleep(0.02)
        return found
