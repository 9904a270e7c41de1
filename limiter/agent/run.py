"""`python -m limiter run`: asks the agent for a slot, prints why there is none, or becomes the command.

Promises: pid, terminal, descriptors, signals, environment and exit status are the command's own; nothing of ours stands
beside it. Does not promise: what SIGPIPE meant before Python was there, see `undo_what_python_did`.

Every import here is paid for at every start of a bot: `python -X importtime -m limiter run` shows what each costs.
"""

import _socket
import contextlib
import os
import signal
import sys
import time

from limiter.agent import address, command_line, message
from limiter.agent.becoming import NETWORK, become, environment, found
from limiter.agent.command_line import Wanted
from limiter.agent.words import REFUSED, UNREADABLE, Unable, say, text

START_SECONDS = 15.0  # an agent that does not answer by then is not there
SILENCE_SECONDS = 30.0  # it says every few seconds that it is still at it
MAKE_PLACE_SECONDS = 3.0
STARTS = 3


def main(arguments: list[str]) -> int:
    """The exit status, where there is no command that gives one. Does not return where it becomes the command."""
    undo_what_python_did()
    try:
        wanted = command_line.read(arguments)
        if wanted is None:
            return 0
        if wanted.adopt is None:
            file = found(wanted.command[0])
            if wanted.direct or not agent_is_possible():
                from limiter.agent import direct

                return direct.run(wanted, file)
        answer = asked(wanted)
        if "session_id" not in answer:
            raise Unable(int(answer.get("status", REFUSED)), answer.get("sentence", "?"))
        if wanted.adopt is not None:
            return 0
        become(wanted.command, file, environment(wanted.url, answer["session_id"]))
    except Unable as unable:
        say(str(unable))
        return unable.status
    return 0


def agent_is_possible() -> bool:
    """Whether an agent may look after this process: not where it is pid 1, which has to reap what others leave."""
    return sys.platform == "linux" and hasattr(_socket, "AF_UNIX") and os.getpid() != 1


# The agent


def asked(wanted: Wanted) -> message.Fields:
    """The agent's answer. Raises Unable where there is none."""
    question = {
        "ask": "start" if wanted.adopt is None else "adopt",
        "protocol": str(message.PROTOCOL),
        "user": wanted.user,
        "url": wanted.url,
        "key": wanted.key,
        "on_lost": wanted.on_lost,
        "language": os.environ.get("LIMITER_LANG", ""),
        "again": os.urandom(16).hex(),  # the Idempotency-Key: whatever is lost on the way, it is one start
    }
    if wanted.bot is not None:
        question["bot"] = wanted.bot
    if wanted.notice_signal:
        question["notice_signal"] = str(wanted.notice_signal)
    if wanted.adopt is not None:
        question["pid"] = str(wanted.adopt)
    for name in NETWORK:
        if value := os.environ.get(name) or os.environ.get(name.upper()):
            question[name] = value
    give_up_at, asked_to_make_place = time.monotonic() + START_SECONDS, False
    wait_until = time.monotonic() + wanted.wait_seconds
    while True:
        with_agent, asked_at = connection(give_up_at), time.monotonic()
        question["wait"] = str(max(0.0, wait_until - asked_at))
        answer = ask(with_agent, question)
        with_agent.close()
        if answer is None and time.monotonic() - asked_at > 1:  # it was there, and will be again
            give_up_at = time.monotonic() + START_SECONDS
        if answer is not None and answer.get("status") != "older":
            return answer
        if answer is not None and not asked_to_make_place:
            asked_to_make_place, give_up_at = True, time.monotonic() + MAKE_PLACE_SECONDS
            make_place()
        if time.monotonic() > give_up_at:
            break
        time.sleep(0.02)  # killed, its guardian brings it back; older, it is about to become another
    if answer is None:
        raise Unable(REFUSED, text(fr="L'agent ne répond pas.", en="The agent does not answer."))
    told = text(fr="L'agent en marche est d'une autre version.", en="The agent that runs is of another version.")
    raise Unable(UNREADABLE, told)


def ask(with_agent: _socket.socket, question: message.Fields) -> message.Fields | None:
    """The answer, None where the agent went away or says nothing for long."""
    try:
        with_agent.settimeout(SILENCE_SECONDS)
        with_agent.sendall(message.packed(question))
        answer = message.receive(with_agent)
        told = ""
        while answer is not None and "still" in answer:
            if answer.get("told", "") not in ("", told):
                told = answer["told"]
                say(told)
            answer = message.receive(with_agent)
    except (OSError, ValueError):
        return None
    return answer


def make_place() -> None:
    """Ask an older agent to become one of this program."""
    with_agent = address.reached(START_SECONDS)
    if with_agent is not None:
        from limiter.agent.guardian import PACKAGE_FOLDER

        ask(with_agent, {"ask": "make place", "python": sys.executable, "folder": PACKAGE_FOLDER})
        with_agent.close()


def connection(give_up_at: float) -> _socket.socket:
    """A connection to the agent, which is started where none runs. Raises Unable."""
    starts = 0
    while True:
        with_agent = address.reached(START_SECONDS)
        if with_agent is not None:
            return with_agent
        folder = usable_folder()
        try:
            if folder.locked():
                starts += 1
                start(folder)
        finally:
            os.close(folder.descriptor)
        if starts > STARTS or time.monotonic() > give_up_at:
            told = text(fr="L'agent ne démarre pas ; son journal", en="The agent does not start; its log")
            raise Unable(REFUSED, f"{told}: {os.path.dirname(folder.path)}/agent.log")
        time.sleep(0.005)


def usable_folder() -> address.Folder:
    """The first folder that an agent of ours may have. Raises Unable."""
    *preferred, last = address.places()
    for path in preferred:
        try:
            folder = address.opened(path, make=True)
        except Unable:
            continue
        if folder is not None:
            return folder
    folder = address.opened(last, make=True)
    assert folder is not None
    return folder


def start(folder: address.Folder) -> None:
    """Start guardian and agent, away from this process, its terminal and its children: it is to become the bot."""
    from limiter.agent.guardian import spawn

    between = os.fork()
    if between:
        with contextlib.suppress(ChildProcessError):  # where SIGCHLD is ignored it is nobody's to ask for
            os.waitpid(between, 0)
        return
    try:
        os.setsid()
        spawn("limiter.agent.guardian", folder.path, folder.descriptor, ["--away"])
    finally:
        os._exit(0)


HANDED_ON_BY = {"systemd": ("SIGPIPE",), "supervisord": ("SIGPIPE", "SIGXFSZ")}
"""What starts its children deaf to these (systemd.exec(5) IgnoreSIGPIPE=; a Python program that forks by itself)."""


def undo_what_python_did() -> None:
    """Signals as they were. Python ignores two from its first instruction on, and keeps no note of what was before:
    it is the default unless the parent is known to hand on something else."""
    kept = HANDED_ON_BY.get(_parents_name(), ())
    for name in ("SIGPIPE", "SIGXFSZ"):
        if name not in kept:
            signal.signal(getattr(signal, name), signal.SIG_DFL)
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C while it waits ends it as it would end the command


def _parents_name() -> str:
    try:
        with open(f"/proc/{os.getppid()}/comm", "rb") as file:
            return file.read().decode("utf-8", "replace").strip()
    except OSError:
        return ""
