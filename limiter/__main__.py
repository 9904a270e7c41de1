"""`python -m limiter`, and the command `limiter`. `run` and `agent` need none of what the other commands import."""

import sys


def main() -> None:
    """Run the command that was typed."""
    if sys.argv[1:2] in (["run"], ["agent"]):
        leave_the_working_folder()
        if sys.argv[1] == "run":
            from limiter.agent.run import main as begin
        else:
            from limiter.agent.agent_command import main as begin
        sys.exit(begin(sys.argv[2:]))
    from limiter.cli import main

    main(prog_name="python -m limiter")


def leave_the_working_folder() -> None:
    """`python -m` looks for modules there first, and a bot's folder may well have a signal.py."""
    if sys.path and not sys.flags.safe_path:
        del sys.path[0]


if __name__ == "__main__":
    main()
