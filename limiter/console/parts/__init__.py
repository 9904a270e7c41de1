"""Pieces of pages with a subject of their own: limits, sessions, the launch, what happened and what is to do."""
