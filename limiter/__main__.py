"""`python -m limiter`, and the command `limiter`. `run` and `agent` need none of what the other commands import.

Installed without extras it is a bot's: a command that needs more says which extra to install.
"""

import os
import sys

COMPLETE = "_LIMITER_COMPLETE"  # what the shell's completion sets: docs/operating.md

# What is not in `server`, which all others take along.
EXTRAS = {
    "streamlit": "console",
    "altair": "console",
    "pandas": "console",
    "itsdangerous": "console",
    "psycopg": "postgres",
}


def main() -> None:
    """Run the command that was typed."""
    if sys.argv[1:2] in (["run"], ["agent"]):
        leave_the_working_folder()
        if sys.argv[1] == "run":
            from limiter.agent.run import main as begin
        else:
            from limiter.agent.agent_command import main as begin
        sys.exit(begin(sys.argv[2:]))
    if sys.argv[1:] == ["--version"]:
        from limiter import __version__

        print(f"limiter, version {__version__}")  # as click says it, which a bot's installation has not
        return
    try:
        from limiter.cli import main

        name = (
            "limiter" if COMPLETE in os.environ or os.path.basename(sys.argv[0]) == "limiter" else "python -m limiter"
        )
        main(prog_name=name, complete_var=COMPLETE)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] == "limiter":
            raise
        sys.exit(missing(error.name))


def missing(module: str) -> str:
    """What to install where `module` is not there."""
    from limiter.agent.words import text

    extra = EXTRAS.get(module.partition(".")[0], "server")
    return text(
        fr=f"Il manque {module} : installe l'extra {extra} du limiteur (dans ses sources : pip install '.[{extra}]').",
        en=f"{module} is missing: install the limiter's extra {extra} (in its checkout: pip install '.[{extra}]').",
    )


def leave_the_working_folder() -> None:
    """`python -m` looks for modules there first, and a bot's folder may well have a signal.py."""
    if sys.path and not sys.flags.safe_path:
        del sys.path[0]


if __name__ == "__main__":
    main()
