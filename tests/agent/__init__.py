"""A slot is a process. Where each thing that went wrong before, or could, is shown:

test_members: shell, orphan, double fork, setsid, pool of workers, xargs, nohup, `su`, `sudo`, Node cluster: the slot is
    held until the last has ended, and its loss ends all; a process that stands; a pid that is used again; what is never
    signalled (process 1, the agent, what it descends from, what a container has outside)
test_run: exit status, descriptors, environment, key, ignored signals, a parent that ignores SIGCHLD, the bot's `.env`;
    each signal heard once (to one process, to a group, typed, of a terminal that closes); 75, 77, 78, 126, 127;
    `--wait` and the place in the queue; an announced end; a limiter out of reach
test_languages: each sentence of `run` and agent in the language of who asks
test_network: proxies, certificates, an older limiter
test_pid_one: the first process of a container
test_faults: agent and guardian killed, both, between slot and exec; a limiter that is away, `--on-lost keep`; a process
    that may not be signalled; folder, version, reboot, hidden /proc; the parent of `--direct` killed
test_many: five hundred bots; an agent killed again and again
test_strangers, test_adopt: bots without a slot
test_real_bots: freqtrade, ccxt sync and asyncio, Node: members, memory and CPU as told, signals, end
test_supervisors: supervisor, pm2, cron's line, tmux, nohup, xargs, su, sudo, a container's first process
test_systemd: the shipped units on a real systemd
test_pacing, test_path: starts are paced; `run` imports little
`python -m benchmarks wrapping`: memory beside 150 bots, time and CPU of a start, what ending twelve real bots frees, a
    hundred kills under a hundred bots
tests/client: a busy event loop, `lost` first, rounded prices
"""
