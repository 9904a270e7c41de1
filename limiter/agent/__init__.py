"""A slot is a process: `run` takes one and becomes the bot; the agent looks after every bot of this OS user and host.

Standard library only, and as little of it as will do: what `run` imports is paid for by every bot that starts, and what
the agent holds lies beside the bots in memory.

`run` ─▶ a message over a Unix socket (`message`, `address`) ─▶ `service` takes the slot (`limiter_api`), writes it into
the `book` and answers ─▶ `run` execs the command. From there on `members` (`cgroups`, `processes`) says what belongs to
the bot, `line` renews its lease, `roster` gives the slot back or ends the bot, `guardian` brings the agent back.
`direct` does the same from a small parent where there can be no agent.
"""
