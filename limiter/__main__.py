"""`python -m limiter`: the command line, imported here and no sooner than it is needed."""


def main() -> None:
    """Run the command that was typed."""
    from limiter.cli import main

    main(prog_name="python -m limiter")


if __name__ == "__main__":
    main()
