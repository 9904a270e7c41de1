"""A limiter for drills: a process of its own on a scratch copy of the database, spoken to over HTTP.

Promises: the live database is only read; the live limiter, its alert channels and whoever waits for its signs of life
hear nothing; process and copy are gone at the end. Not promised: that the machine does not feel it.
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Literal, Self

import httpx

from limiter.config import Config
from limiter.drills.channel import Channel
from limiter.layout import PACKAGE
from limiter.store.backup import copy
from limiter.store.location import StoreError, free_bytes, sqlite_path
from limiter.store.lock import Lock
from limiter.system_limits import CATALOGUE

Language = Literal["fr", "en"]
FEWEST, MOST = 100, 1_000  # slots of the scratch limiter: percentages come out exactly, and nobody waits for long
LEASE_SECONDS = 120  # longer than it takes to fill them
AT_ONCE = 8  # calls under way
START_SECONDS = 60.0
ROOM_BYTES = 200 * 1024**2  # that a copy leaves free
# Of the live limiter: its settings, and systemd's ways to hear of it.
LIVE = ("LIMITER_", "NOTIFY_SOCKET", "WATCHDOG_", "LISTEN_", *(limit.name for limit in CATALOGUE))


class Scratch:
    """`with Scratch(settings, folder, language) as box:` in an empty folder. One call at a time."""

    def __init__(self, settings: Config, folder: Path, language: Language) -> None:
        self.settings, self.folder, self.language = settings, folder, language
        self.database = folder / "limiter.db"
        self.database_text = ""
        self.limit = FEWEST
        self.channel = Channel()
        self._process: subprocess.Popen[bytes] | None = None
        self._http = httpx.Client(trust_env=False)
        self._threads = ThreadPoolExecutor(AT_ONCE, "drill")

    def __enter__(self) -> Self:
        self.channel.open()
        try:
            self._copy()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        self._threads.shutdown()
        self.channel.close()

    def text(self, *, fr: str, en: str) -> str:
        """The one that the person reads."""
        return en if self.language == "en" else fr

    def seconds(self, took: float) -> str:
        """A duration, as it is written."""
        text = f"{took:.1f} s"
        return text if self.language == "en" else text.replace(".", ",")

    def _copy(self) -> None:
        """The live database, where it is a file; raises StoreError where there is no room for a copy."""
        source = sqlite_path(self.settings.database_url)
        if source is None or not source.exists():
            self.database_text = self.text(fr="base neuve", en="new database")
            return
        wanted, free = source.stat().st_size + ROOM_BYTES, free_bytes(self.folder)
        if free < wanted:
            place = self.folder.parent
            raise StoreError(
                fr=f"{place} : {free >> 20} Mio de libre, et une copie d'essai en demande {wanted >> 20} : fais "
                "de la place, ou nomme un autre dossier dans TMPDIR",
                en=f"{place}: {free >> 20} MiB are free, and a scratch copy needs {wanted >> 20} MiB: make room, or "
                "name another folder in TMPDIR",
            )
        size = copy(source, self.database)
        self.database_text = self.text(fr="copie de", en="copy of") + f" {source.name}, {size / 1024**2:.1f} MiB"

    # -- the process

    def serve(self) -> float:
        """Start it; the seconds until it can decide. Raises StoreError where it does not start."""
        began = time.monotonic()
        command = [sys.executable, "-m", "limiter", "serve"]
        with (self.folder / "limiter.log").open("ab") as log:
            self._process = subprocess.Popen(
                command, cwd=PACKAGE.parent, env=self._environment(), stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > began + START_SECONDS:
                last = self._last_words()
                raise StoreError(
                    fr=f"le limiteur d'essai n'a pas démarré : {last}", en=f"the scratch limiter did not start: {last}"
                )
            time.sleep(0.01)
        return time.monotonic() - began

    def kill(self) -> None:
        """SIGKILL, where it runs."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
        self._http.close()

    def _environment(self) -> dict[str, str]:
        config = self.settings
        (self.folder / "no.env").touch()  # an empty value counts as not set, so a file has to say that there is none
        limits = {name: str(one.value).lower() for name, one in config.limits.items() if one.source != "default"}
        kept = {name: text for name, text in os.environ.items() if not name.startswith(LIVE)}
        return kept | limits | {
            "LIMITER_ENV_FILE": str(self.folder / "no.env"),
            "LIMITER_DATABASE_URL": f"sqlite:///{self.database}",
            "LIMITER_HOST": "127.0.0.1",
            "LIMITER_PORT": "0",
            "LIMITER_BACKUP_DIR": "none",
            "LIMITER_TIMEZONE": str(config.timezone),
            "LIMITER_LANG": self.language,
            "LIMITER_ALERT_URLS": self.channel.address,
            "NO_PROXY": "127.0.0.1",
        }  # fmt: skip

    def _answers(self) -> bool:
        """Whether it can decide; its lock file says where it is, with a key that lives as long as it does."""
        owner = Lock(self.database).owner()
        if self._process is None or owner.get("pid") != str(self._process.pid) or "url" not in owner:
            return False
        headers = {"Authorization": f"Bearer {owner['key']}", "Accept-Language": self.language}
        self._http.close()
        self._http = httpx.Client(base_url=owner["url"], headers=headers, timeout=10, trust_env=False)
        return self._http.get("/readyz").status_code == 200

    def _last_words(self) -> str:
        lines = (self.folder / "limiter.log").read_text(errors="replace").split("\n")
        return next((line for line in reversed(lines) if line.strip()), "it said nothing")

    # -- calls

    def call(self, method: str, path: str, body: Any = None) -> httpx.Response:
        """One call, whatever it answers."""
        return self._http.request(method, path, json=body)

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """The body of an answer that has to be a success. Raises httpx.HTTPStatusError."""
        answer = self.call(method, path, body)
        answer.raise_for_status()
        return answer.json()

    def each(self, call: Callable[[Any], httpx.Response], things: Collection[Any]) -> list[httpx.Response]:
        """The call for every thing, some at once; the answers in the order of the things."""
        return list(self._threads.map(call, things))

    def prepare(self, **limits: Any) -> None:
        """A limiter that runs, empty, its starts not paused, nothing planned, under the limits in force or these."""
        if self._process is None or self._process.poll() is not None:
            self.serve()
            in_force = {row["name"]: row["value"] for row in self.ask("GET", "/api/admin/limits")["limits"]}
            self.limit = min(MOST, max(FEWEST, in_force["MAX_CONCURRENT_BOTS"]))
        self.ask("DELETE", "/api/admin/plan", {"reason": "drill"})
        self.ask("POST", "/api/admin/resume", {"reason": "drill"})
        wanted = {"MAX_CONCURRENT_BOTS": self.limit, "MAX_BOTS_PER_USER": 1, "BOT_LEASE_SECONDS": LEASE_SECONDS}
        self.change(**wanted | limits)
        while held := self.ask("GET", "/api/admin/sessions?status=active&limit=500")["items"]:
            self.each(lambda one: self.call("POST", f"/api/admin/sessions/{one['public_id']}/stop", WHY), held)

    def change(self, **limits: Any) -> int:
        """Change limits, whatever guards say of this machine; the version."""
        body = {"changes": limits, "override_guard": True} | WHY
        return int(self.ask("PATCH", "/api/admin/limits", body)["version"])

    def start(self, user: str) -> httpx.Response:
        """One bot of that user."""
        return self.call("POST", "/api/bots/start", {"user_id": user, "bot_id": "drill"})

    def starts(self, n: int, of: str) -> list[httpx.Response]:
        """So many users ask for a slot each."""
        return self.each(self.start, [f"drill-{of}-{number}" for number in range(n)])

    def beat(self, session: Mapping[str, Any]) -> httpx.Response:
        """One sign of life."""
        return self.call("POST", "/api/bots/heartbeat", {"session_id": session["session_id"]})

    def stop(self, session: Mapping[str, Any]) -> httpx.Response:
        """The slot is given back."""
        return self.call("POST", "/api/bots/stop", {"session_id": session["session_id"]})

    def capacity(self) -> dict[str, Any]:
        """What is counted."""
        counted: dict[str, Any] = self.ask("GET", "/api/admin/capacity")["capacity"]
        return counted

    def bots(self) -> str:
        """How many bots are counted."""
        return str(self.capacity()["current_bots"])


WHY = {"reason": "drill"}
