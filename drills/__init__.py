"""Faults on purpose: each drill breaks something under a real limiter and counts what it cost. See __main__.py."""
