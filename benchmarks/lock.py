"""`python -m benchmarks.lock FILE`: another process that takes SQLite's write lock for 50 ms, four times a second."""

import sqlite3
import sys
import time


def hold(path: str) -> None:
    """For ever."""
    connection = sqlite3.connect(path, isolation_level=None, timeout=1.0)
    while True:
        connection.execute("BEGIN IMMEDIATE")
        time.sleep(0.05)
        connection.execute("ROLLBACK")
        time.sleep(0.2)


if __name__ == "__main__":
    hold(sys.argv[1])
