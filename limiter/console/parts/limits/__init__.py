"""The parts of the page Limits: the system's limits with preview and undo, users' own limits, peak windows,
versions."""
