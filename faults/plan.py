"""The faults, declared: name, what it is, what runs it, how often in the tests and in `make drill`."""

from faults import beside, callers, clocks, disks, files, inside, overwriting, power, processes, several, waiting
from faults.figures import Fault

FAULTS: tuple[Fault, ...] = (
    Fault("kill", "SIGKILL at a random moment under load", processes.kills, 0, 200),
    Fault("several", "one of several limiters on one PostgreSQL is killed", several.several, 0, 100),
    Fault("power", "power cut: writes that were not synced are lost, kept in part or torn", power.power_cuts, 30, 300),
    Fault("write-error", "the n-th operation on the disk fails, for every n", power.write_errors, 12, 40),
    Fault("full-disk", "another program fills the disk, and makes room again", disks.full_disk, 1, 20),
    Fault("tiny-disk", "the database fills its disk of some MiB, and the limiter starts again", disks.tiny_disk, 2, 6),
    Fault("room", "history fills the disk, and a shorter one cures it", disks.cured_by_a_setting, 1, 10),
    Fault("files", "the database file is removed, moved and replaced under a running limiter", files.files, 2, 40),
    Fault("overwriting", "another program writes into the files of a running limiter", overwriting.overwriting, 1, 30),
    Fault("lock", "another process holds the write lock, or stands still with it", disks.foreign_lock, 3, 30),
    Fault("clock", "the wall clock is moved by an hour and by a day, forward and back", clocks.steps, 2, 20),
    Fault("late-clock", "the wall clock is set by a day, and stays there", clocks.late, 0, 4),
    Fault("midnight", "the trade day ends, on days of 24, 23 and 25 hours", clocks.midnights, 1, 3),
    Fault("zombies", "30 % of the bots vanish", processes.zombies, 20, 200),
    Fault("terminate", "SIGTERM under load, with half-sent requests open", processes.terminations, 1, 50),
    Fault("siege", "slow clients, and five times as many silent connections", callers.siege, 100, 2000),
    Fault("document", "requests made from the OpenAPI document", callers.made_from_the_document, 5, 250),
    Fault("poison", "one request of a batch fails", inside.poison, 40, 1000),
    Fault("sampler", "the sampler crashes", inside.sampler, 10, 200),
    Fault("stall", "the sampler hangs", beside.stall, 0, 4),
    Fault("channels", "alert channels are dead, slow and failing", beside.channels, 0, 10),
    Fault("readers", "twenty console pages are drawn again and again", beside.readers, 0, 10),
    Fault("lost-answer", "the answer is lost, and the bot asks again", processes.lost_answers, 50, 1000),
    Fault("race", "a hundred clients ask for one freed slot", waiting.race, 20, 1000),
    Fault("race-of-two", "a hundred clients ask two limiters on PostgreSQL for one freed slot", several.race, 10, 1000),
    Fault("waiting", "bots wait in turn for few slots", waiting.waiting, 0, 200),
    Fault("soak", "hours of bots that come and go, in minutes", inside.soak, 20_000, 1_000_000),
)  # fmt: skip

ELSEWHERE = (
    ("two limiters on one SQLite file", "tests/contract/test_process.py: the second is refused"),
    ("damaged, foreign, empty, newer files", "tests/store/test_engine.py: 13 kinds, each named in the sentence"),
    ("alert channels dead, slow, failing", "tests/jobs/test_alerts.py"),
    ("a console page or a read that runs away", "tests/store/test_engine.py, tests/pages, tests/journeys"),
    ("limits lowered, raised, raced", "tests/contract/test_changes.py, tests/contract/test_limits.py"),
    ("a migration cut at any statement", "tests/store/test_engine.py"),
    ("backup under load, restore drill", "tests/test_maintenance.py, tests/store/test_backup.py"),
    ("a fault in the decision loop itself", "tests/faults/test_broken_loop.py: the process ends, and nothing is lost"),
    ("hostile bodies and values", "tests/contract/test_bad_input.py"),
)  # fmt: skip
