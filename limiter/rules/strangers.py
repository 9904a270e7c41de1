"""Strangers: processes that look like bots and hold no slot. Which of a table of processes they are, and how a command
line may be shown. Pure.
"""

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

LONGEST = 160  # characters of a command line that are shown
TELL_SECONDS, REPORT_SECONDS = 30.0, 100.0  # how often an agent tells, and how long it holds
MOST_TOLD = 5_000  # that are remembered, of all agents
MASK = "…"
STRANGE = "\ufffd"
SECRET = re.compile(
    r"key|secret|token|pass|pwd|auth|credential|mnemonic|seed|private|signature|cookie|session|bearer|jwt", re.I
)
ASSIGNED = re.compile(r"""(?P<name>[\w.\-"']+\s*[=:]\s*)(?P<value>"[^"]*"|'[^']*'|[^\s,;&}]+)""")
USER_INFO = re.compile(r"(?<=://)[^/\s@]+@")
SCHEMES = ("bearer", "basic")  # of an Authorization header
RANDOM = re.compile(r"(?<![\w./-])(?=\w*\d)(?=\w*[A-Za-z])[\w+=-]{24,}(?![\w./-])")


@dataclass(frozen=True, slots=True)
class Process:
    """One process of the box. `looks`: like a bot; `holds`: it has a slot itself; `ours`: the limiter's own program."""

    pid: int
    parent: int
    started: float
    looks: bool = False
    holds: bool = False
    ours: bool = False


@dataclass(frozen=True, slots=True)
class Stranger:
    """A process that looks like a bot and holds no slot. `since`: when it started, UTC ms; memory with what it started.

    `command` is masked and cut for those who may read it; `name` is the program's alone. `host` is the one whose agent
    tells of it, and `command` then the user and bot that it was; empty: the limiter's own.
    """

    pid: int
    name: str
    command: str
    memory_bytes: int
    since: int
    host: str = ""


Teller = tuple[str, str, str]
"""Host, agent, and whose key it tells with, so that no key takes back what another's agent said."""


@dataclass(slots=True)
class Reports:
    """What agents say of bots on their host that lost their slot and run on. What is not said again is forgotten, and
    so is what was said longest ago where it is more than MOST_TOLD. Instants are monotonic seconds; `since`: the start.
    """

    since: float = -math.inf
    told: dict[Teller, tuple[float, tuple[Stranger, ...]]] = field(default_factory=dict)
    held: int = 0

    def tell(self, by: Teller, strangers: Sequence[Stranger], at: float) -> None:
        """All that this agent knows now."""
        self._forget(by)
        if strangers:
            self.told[by] = at, tuple(strangers)
            self.held += len(strangers)
        while self.held > MOST_TOLD:
            self._forget(next(iter(self.told)))

    def standing(self, at: float) -> list[Stranger]:
        """What was said in the last REPORT_SECONDS, by host; once, where an agent was asked to use another key."""
        for by in [by for by, (said_at, _) in self.told.items() if at - said_at >= REPORT_SECONDS]:
            self._forget(by)
        found = (stranger for _, (_, strangers) in sorted(self.told.items()) for stranger in strangers)
        return list({(one.host, one.pid, one.command): one for one in found}.values())

    def complete(self, at: float) -> bool:
        """Whether every agent has had the time to say what it knows: what is told lives in memory alone."""
        return at - self.since >= REPORT_SECONDS

    def _forget(self, by: Teller) -> None:
        _, strangers = self.told.pop(by, (0.0, ()))
        self.held -= len(strangers)


def together(here: Sequence[Stranger], told: Iterable[Stranger], own_host: str) -> list[Stranger]:
    """Those that were seen here, and those that agents tell of; what this host's agent tells of and was seen, once."""
    seen = {one.pid for one in here}
    return [*here, *(one for one in told if one.host != own_host or one.pid not in seen)]


def strangers(processes: Iterable[Process]) -> list[Process]:
    """The topmost of each tree that looks like a bot and neither holds a slot, nor came from what holds one, nor
    started what holds one or is the limiter's own; oldest first.
    """
    table = {one.pid: one for one in processes}
    launchers = {above.pid for one in table.values() if one.holds or one.ours for above in ancestors(table, one)}
    found = {}
    for one in sorted(table.values(), key=lambda one: (one.started, one.pid)):
        if one.looks and not (one.holds or one.ours or one.pid in launchers):
            above = list(ancestors(table, one))
            if not any(other.holds for other in above):
                found[one.pid] = (one, {other.pid for other in above})
    return [one for one, above in found.values() if not above & found.keys()]


def ancestors(table: Mapping[int, Process], of: Process) -> Iterator[Process]:
    """Parent, its parent and so on. A parent that started later is another process with a pid used again."""
    seen = {of.pid}
    while (parent := table.get(of.parent)) is not None and parent.pid not in seen and parent.started <= of.started:
        seen.add(parent.pid)
        yield parent
        of = parent


def below(processes: Iterable[Process], of: Process) -> list[Process]:
    """The process and all that it started, and they, and so on."""
    table = {one.pid: one for one in processes}
    return [one for one in table.values() if one.pid == of.pid or of in ancestors(table, one)]


def is_ours(command: Sequence[str]) -> bool:
    """Whether a command line is one of this program: `python -m limiter …` or `limiter …`."""
    words = list(command[1:])
    while words and words[0].startswith("-"):
        if words[0] == "-m":
            return len(words) > 1 and words[1].partition(".")[0] == "limiter"
        del words[: 2 if words[0] in ("-X", "-W") else 1]
    return any(word.rpartition("/")[2] == "limiter" for word in (*command[:1], *words[:1]))


def shown(command: Sequence[str]) -> str:
    """A command line without the values that look like secrets, cut to a sensible length.

    Masked: what is assigned to a name that sounds like one (`--api-key=…`, `API_SECRET=…`, `"token": …`), the word
    after such a flag, user and password in an address, long words of letters and digits. It is a precaution and no
    proof: a secret that looks like any word is shown to those who may read.
    """
    text = printable(" ".join(_masked(command)))
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + MASK


def printable(text: str) -> str:
    """The text with a mark for each character that cannot be shown: a process may have any bytes as its name, and a
    database or JSON does not take all of them."""
    return text if text.isprintable() else "".join(one if one.isprintable() else STRANGE for one in text)


def _masked(words: Sequence[str]) -> Iterator[str]:
    secret_follows = False
    for word in words:
        if secret_follows and not word.startswith("-"):
            yield MASK
            secret_follows = word.lower() in SCHEMES
            continue
        parts = word.split()
        if len(parts) > 1:  # a whole command line in one word: `bash -c "…"`
            yield " ".join(_masked(parts))
            secret_follows = False
            continue
        text = ASSIGNED.sub(lambda found: found["name"] + MASK if SECRET.search(found["name"]) else found[0], word)
        yield RANDOM.sub(MASK, USER_INFO.sub(f"{MASK}@", text))
        names = word.endswith((":", "=")) or (word.startswith("-") and not {"=", ":"} & set(word))
        secret_follows = (names and SECRET.search(word) is not None) or word.lower() in SCHEMES
