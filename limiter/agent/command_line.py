"""The command line of `run`, read by hand: argparse and click take longer to import than all that `run` does."""

import os
import signal

from limiter.agent.words import UNREADABLE, WRONG_COMMAND_LINE, Unable, text

DEFAULT_URL = "http://127.0.0.1:5001"
FIRST = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789")  # string imports re
FURTHER = FIRST | frozenset("._:@/-")
LONGEST_IDENTIFIER = 64
TAKE_A_VALUE = ("--user", "--bot", "--wait", "--on-lost", "--url", "--adopt")

USAGE_EN = """Usage: python -m limiter run --user USER [OPTIONS] [--] COMMAND...
       python -m limiter run --user USER [OPTIONS] --adopt PID
"""
USAGE_FR = """Usage : python -m limiter run --user UTILISATEUR [OPTIONS] [--] COMMANDE...
        python -m limiter run --user UTILISATEUR [OPTIONS] --adopt PID
"""
HELP_EN = """
  Take a slot and become COMMAND: same pid, terminal, signals and exit status.
  All that descends from it is the bot; the slot is held until the last of it
  has ended.

Options:
  --user TEXT            Whose bot it is.  [required]
  --bot TEXT             Its name; a start of the same one takes over its slot.
  --wait SECONDS         Ask for so many seconds where there is no slot.
  --on-lost [stop|keep]  What to do where the slot is lost: end the bot, or
                         leave it.  [default: stop]
  --url TEXT             Where the limiter is; else LIMITER_URL.
  --direct               Without the agent: a small parent stays beside the bot.
  --adopt PID            Take a slot for a process that runs already.
  -h, --help             Show this message and exit.

Exit status: that of COMMAND. 75: no slot, try again later. 77: the key is
refused. 78: a setting cannot be read. 126, 127: COMMAND cannot be run, or is
not found. 2: a wrong command line.
"""
HELP_FR = """
  Prend une place et devient COMMANDE : même pid, terminal, signaux et statut de
  sortie. Le bot est tout ce qui en descend ; la place est tenue jusqu'à la fin
  du dernier de ces processus.

Options :
  --user TEXTE           À qui est le bot.  [obligatoire]
  --bot TEXTE            Son nom ; un nouveau départ du même reprend sa place.
  --wait SECONDES        Redemander pendant ce temps s'il n'y a pas de place.
  --on-lost [stop|keep]  Si la place est perdue : arrêter le bot, ou le laisser.
                         [par défaut : stop]
  --url TEXTE            Où est le limiteur ; sinon LIMITER_URL.
  --direct               Sans l'agent : un petit parent reste à côté du bot.
  --adopt PID            Prendre une place pour un processus qui tourne déjà.
  -h, --help             Afficher cette aide.

Statut de sortie : celui de COMMANDE. 75 : pas de place, réessayer plus tard.
77 : clé refusée. 78 : réglage illisible. 126, 127 : COMMANDE ne peut pas être
exécutée, ou est introuvable. 2 : ligne de commande fausse.
"""


class Wanted:
    """What the command line and the environment ask for."""

    def __init__(self) -> None:
        self.user = ""
        self.bot: str | None = None
        self.wait_seconds = 0.0
        self.on_lost = "stop"
        self.url = ""
        self.direct = False
        self.adopt: int | None = None
        self.command: list[str] = []
        self.notice_signal = 0
        """What the bot gets when its end is announced; 0: nothing."""
        self.key = os.environ.get("LIMITER_KEY", "").strip()


def read(arguments: list[str]) -> Wanted | None:
    """What is wanted; None where it was to be helped, which is done. Raises Unable."""
    wanted, given = Wanted(), dict[str, str]()
    rest = list(arguments)
    while rest and rest[0].startswith("-") and rest[0] != "-":
        word = rest.pop(0)
        if word == "--":
            break
        if word in ("-h", "--help"):
            print(text(fr=USAGE_FR + HELP_FR, en=USAGE_EN + HELP_EN), end="")
            return None
        name, equals, value = word.partition("=")
        if name == "--direct" and not equals:
            wanted.direct = True
            continue
        if name not in TAKE_A_VALUE:
            raise wrong(text(fr=f"option inconnue : {word}", en=f"no such option: {word}"))
        if not equals:
            if not rest:
                raise wrong(text(fr=f"{name} demande une valeur", en=f"{name} takes a value"))
            value = rest.pop(0)
        given[name] = value
    wanted.command = rest
    _fill(wanted, given)
    wanted.notice_signal = _signal(os.environ.get("LIMITER_NOTICE_SIGNAL", "").strip())
    return wanted


def _fill(wanted: Wanted, given: dict[str, str]) -> None:
    if "--user" not in given:
        raise wrong(text(fr="--user manque", en="--user is missing"))
    wanted.user = _identifier("--user", given["--user"])
    wanted.bot = _identifier("--bot", given["--bot"]) if "--bot" in given else None
    wanted.wait_seconds = _seconds(given.get("--wait", "0"))
    wanted.on_lost = given.get("--on-lost", "stop")
    if wanted.on_lost not in ("stop", "keep"):
        raise wrong(text(fr="--on-lost est stop ou keep", en="--on-lost is stop or keep"))
    if "--adopt" in given:
        if not given["--adopt"].isdecimal() or wanted.command or wanted.direct:
            told = text(
                fr="--adopt demande le pid d'un processus, sans COMMANDE ni --direct",
                en="--adopt takes the pid of a process, and neither COMMAND nor --direct",
            )
            raise wrong(told)
        wanted.adopt = int(given["--adopt"])
    elif not wanted.command:
        raise wrong(text(fr="COMMANDE manque", en="COMMAND is missing"))
    if "--url" in given:
        if why := _wrong_address(given["--url"].strip()):
            raise wrong(f"--url: {why}")
        wanted.url = given["--url"].strip().rstrip("/")
        return
    wanted.url = os.environ.get("LIMITER_URL", "").strip().rstrip("/") or DEFAULT_URL
    if why := _wrong_address(wanted.url):
        raise Unable(UNREADABLE, f"LIMITER_URL: {why}")


def _identifier(option: str, value: str) -> str:
    if value[:1] in FIRST and value and FURTHER.issuperset(value) and len(value) <= LONGEST_IDENTIFIER:
        return value
    told = text(
        fr=f"{option} : 1 à 64 lettres, chiffres ou . _ : @ / - et d'abord une lettre ou un chiffre, pas {value!r}",
        en=f"{option}: 1 to 64 letters, digits or . _ : @ / - beginning with a letter or digit, not {value!r}",
    )
    raise wrong(told)


def _seconds(value: str) -> float:
    try:
        seconds = float(value)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < float("inf"):
        raise wrong(text(fr="--wait est un nombre de secondes", en="--wait is a number of seconds"))
    return seconds


def _signal(name: str) -> int:
    if not name:
        return 0
    found = getattr(signal, "SIG" + name.upper().removeprefix("SIG"), None)
    if not isinstance(found, signal.Signals) or found in (signal.SIGKILL, signal.SIGSTOP):
        told = text(fr=f"{name!r} n'est pas un signal, tel USR1", en=f"{name!r} is no signal, such as USR1")
        raise Unable(UNREADABLE, f"LIMITER_NOTICE_SIGNAL: {told}")
    return int(found)


def _wrong_address(url: str) -> str:
    """Why that is no address of a limiter; empty where it is one, as far as can be said without asking it."""
    scheme, colon, rest = url.partition("://")
    host, _, port = rest.partition("/")[0].rpartition("@")[2].rpartition(":")
    if "]" in port or not host:
        host, port = rest.partition("/")[0].rpartition("@")[2], ""
    known = colon and scheme.lower() in ("http", "https")
    named = host.strip(":") and host.isprintable() and " " not in url
    if known and named and (not port or (port.isascii() and port.isdecimal() and int(port) <= 65535)):
        return ""
    return text(
        fr=f"{url!r} n'est pas une adresse qui commence par http:// ou https://",
        en=f"{url!r} is no address that begins with http:// or https://",
    )


def wrong(why: str) -> Unable:
    """A wrong command line."""
    return Unable(WRONG_COMMAND_LINE, f"{why}.\n{text(fr=USAGE_FR, en=USAGE_EN).rstrip()}")
