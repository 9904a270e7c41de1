"""Units: instants and durations inside are whole milliseconds, sizes bytes."""

SECOND_MS, MINUTE_MS, HOUR_MS, DAY_MS = 1_000, 60_000, 3_600_000, 86_400_000
MIB, GIB = 1024**2, 1024**3  # what is called MB and GB of memory, and MiB and GiB of a disk
