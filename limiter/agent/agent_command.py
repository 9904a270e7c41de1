"""`python -m limiter agent`: the agent in the foreground, as a unit has it; `--status` and `--stop` for a person."""

import os
import time

from limiter.agent import address, message
from limiter.agent.run import usable_folder
from limiter.agent.words import UNREADABLE, WRONG_COMMAND_LINE, Unable, say, text

ANSWER_SECONDS = 60.0
ENDED_SECONDS = 5.0  # it answers, and then it goes
FAILED = 1
FOR_TESTS = ("--away", "--no-groups", "--idle", "--measure-every", "--measure-after", "--grace", "--tell-every")
HELP_EN = """Usage: python -m limiter agent [--status [--json] | --stop [--force]]

  Look after the bots that `run` starts: one agent for each OS user and host.
  The first `run` starts it by itself; without an option it stays in the
  foreground, for a service manager.

Options:
  --status    What it looks after, for a person; --json for a program.
  --stop      End the agent. Refused while it holds bots; with --force they are
              ended first (SIGTERM, 10 s, SIGKILL), their slots given back.
  -h, --help  Show this message and exit.
"""
HELP_FR = """Usage : python -m limiter agent [--status [--json] | --stop [--force]]

  Veille sur les bots que `run` lance : un agent par utilisateur et par machine.
  Le premier `run` le démarre ; sans option il reste au premier plan, pour un
  gestionnaire de services.

Options :
  --status    Ce sur quoi il veille ; --json pour un programme.
  --stop      Arrête l'agent. Refusé tant qu'il a des bots ; avec --force ils
              sont d'abord arrêtés (SIGTERM, 10 s, SIGKILL), leurs places rendues.
  -h, --help  Afficher cette aide.
"""


def main(arguments: list[str]) -> int:
    """The exit status."""
    if arguments[:1] == ["--serve"]:
        from limiter.agent import service

        return service.main(arguments[1], int(arguments[2]), arguments[3:])
    options = set(arguments)
    try:
        if options & {"-h", "--help"}:
            print(text(fr=HELP_FR, en=HELP_EN), end="")
            return 0
        if "--status" in options and options <= {"--status", "--json"}:
            return status("--json" in options)
        if "--stop" in options and options <= {"--stop", "--force"}:
            return stop("--force" in options)
        if arguments and arguments[0] not in FOR_TESTS:
            unknown = text(fr="option inconnue ou de trop", en="no such option, or one too many")
            usage = text(fr=HELP_FR, en=HELP_EN).partition("\n")[0]
            raise Unable(WRONG_COMMAND_LINE, f"{unknown}: {' '.join(arguments)}.\n{usage}")
        return foreground(arguments)
    except Unable as unable:
        say(str(unable))
        return unable.status


def asked(question: message.Fields) -> message.Fields:
    """The agent's answer. Raises Unable where none runs."""
    connection = address.reached(ANSWER_SECONDS)
    if connection is None:
        raise Unable(FAILED, text(fr="Aucun agent ne tourne.", en="No agent runs."))
    connection.sendall(message.packed(question | {"language": os.environ.get("LIMITER_LANG", "")}))
    answer = message.receive(connection)
    while answer is not None and "still" in answer:
        answer = message.receive(connection)
    connection.close()
    if answer is None:
        raise Unable(FAILED, text(fr="L'agent ne répond pas.", en="The agent does not answer."))
    return answer


def status(as_json: bool) -> int:
    """Print what the agent looks after; 1 where none runs."""
    told = asked({"ask": "status"})["report"]
    if as_json:
        print(told)
        return 0
    import json

    from limiter.agent.report import shown

    print(shown(json.loads(told)))
    return 0


def stop(force: bool) -> int:
    """End the agent; 1 where it holds bots and may not end them."""
    answer = asked({"ask": "stop"} | ({"force": "1"} if force else {}))
    if "held" not in answer:
        until = time.monotonic() + ENDED_SECONDS
        while (still_there := address.reached(ANSWER_SECONDS)) is not None and time.monotonic() < until:
            still_there.close()
            time.sleep(0.02)
        print(text(fr="L'agent est arrêté.", en="The agent has ended."))
        return 0
    bots = answer["held"]
    told = text(
        fr=f"Il veille encore sur des bots ({bots}) : arrête-les d'abord, ou --force les arrête et rend leurs places.",
        en=f"It still looks after bots ({bots}): end them first, or --force ends them and gives their slots back.",
    )
    raise Unable(FAILED, told)


def foreground(options: list[str]) -> int:
    """Be guardian and agent here, until told to end."""
    from limiter.agent import guardian

    folder = usable_folder()
    if not folder.locked() and not gave_way(folder):
        told = text(fr="Un agent tourne déjà", en="An agent runs already")
        raise Unable(UNREADABLE, f"{told}: {folder.path}")
    return guardian.main(["--serve", folder.path, str(folder.descriptor), *options])


def gave_way(folder: address.Folder) -> bool:
    """Whether the agent of that folder was one that a `run` had started, and has left it to us with its bots.

    Such a one lives in the unit of that bot, and must not end with it once there is an agent of its own unit.
    """
    connection = folder.connected(ANSWER_SECONDS)
    if connection is None:
        return False
    connection.sendall(message.packed({"ask": "give way"}))
    answer = message.receive(connection) or {}
    connection.close()
    until = time.monotonic() + ENDED_SECONDS
    while "done" in answer and time.monotonic() < until:
        if folder.locked():
            return True
        time.sleep(0.02)
    return False
