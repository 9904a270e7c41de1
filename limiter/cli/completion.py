"""What a shell is told: click's own, but that fish shall see a command's help whole."""

from click.shell_completion import FishComplete


class Fish(FishComplete):
    """click's function for fish splits an answer at every comma, and a help has some (seen in click 8.5.1)."""

    source_template = FishComplete.source_template.replace('string split ","', 'string split --max 1 ","')
