"""The command that `run` becomes: its file, its environment, and the last call of this program."""

import os

from limiter.agent.words import NOT_EXECUTABLE, NOT_FOUND, Unable, text

NETWORK = ("http_proxy", "https_proxy", "all_proxy", "no_proxy", "SSL_CERT_FILE", "SSL_CERT_DIR")
"""How this process reaches the net, which the agent does for it; `HTTPS_PROXY` where `https_proxy` is not set."""
OUR_OWN = ("LIMITER_KEY",)  # not for the command


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
