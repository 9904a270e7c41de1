"""Faults on purpose: each fault breaks something under a real limiter and counts what it cost. See __main__.py."""
