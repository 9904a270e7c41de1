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
from limiter.agent.command_line import Wanted
from limiter.agent.words import NOT_EXECUTABLE, NOT_FOUND, REFUSED, UNREADABLE, Unable, say, text

START_SECONDS = 15.0  # an agent that does not answer by then is not there
SILENCE_SECONDS = 30.0  # it says every few seconds that it is still at it
MAKE_PLACE_SECONDS = 3.0
STARTS = 3
NETWORK = ("http_proxy", "https_proxy", "all_proxy", "no_proxy", "SSL_CERT_FILE", "SSL_CERT_DIR")
"""How this process reaches the net, which the agent does for it; `HTTPS_PROXY` where `https_proxy` is not set."""
OUR_OWN = ("LIMITER_KEY",)  # not for the command


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


# The command


def found(command: str) -> str:
    """The file to execute, looked for as execvp does. Raises Unable where there is none that may be."""
    folders = [""] if "/" in command else os.environ.get("PATH", os.defpath).split(os.pathsep)
    denied = False
    for folder in folders:
        file = os.path.join(folder, command)
        if os.path.isfile(file):
            if os.access(file, os.X_OK):
                return file
            denied = True
        elif "/" in command and os.path.exists(file):
            denied = True
    raise unable_to_run(command, denied)


def unable_to_run(command: str, denied: bool, why: str = "") -> Unable:
    """What a shell would say."""
    if not denied:
        return Unable(NOT_FOUND, text(fr=f"{command} : commande introuvable", en=f"{command}: command not found"))
    told = text(fr=f"{command} : ne peut pas être exécuté", en=f"{command}: cannot be executed")
    return Unable(NOT_EXECUTABLE, f"{told} ({why})" if why else told)


def become(command: list[str], file: str, with_environment: dict[str, str]) -> None:
    """Be the command from here on. Raises Unable: the agent sees this process end, and gives the slot back."""
    try:
        os.execve(file, command, with_environment)  # noqa: S606
    except FileNotFoundError as error:  # a script whose interpreter is not there, mostly
        raise unable_to_run(command[0], os.path.exists(file), error.strerror or "") from None
    except OSError as error:
        if error.errno != 8:  # ENOEXEC
            raise unable_to_run(command[0], True, error.strerror or str(error)) from None
    try:  # a script without a first line that names its interpreter is the shell's, as execvp has it
        os.execve("/bin/sh", ["/bin/sh", file, *command[1:]], with_environment)  # noqa: S606
    except OSError as error:
        raise unable_to_run(command[0], True, error.strerror or str(error)) from None


def environment(url: str, session_id: str) -> dict[str, str]:
    """What the command finds: as without us, and where it can report its trades."""
    handed_on = {name: value for name, value in os.environ.items() if name not in OUR_OWN}
    if "LC_CTYPE" in handed_on and not _was_there("LC_CTYPE"):
        del handed_on["LC_CTYPE"]  # Python sets it where it finds the locale C (PEP 538)
    return handed_on | {"LIMITER_URL": url, "LIMITER_SESSION_ID": session_id}


def _was_there(name: str) -> bool:
    """Whether this process was started with that variable."""
    try:
        with open("/proc/self/environ", "rb") as file:
            return f"\0{name}=".encode() in b"\0" + file.read()
    except OSError:
        return True


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
