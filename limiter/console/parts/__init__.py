"""Pieces of pages with a subject of their own: the limits, the launch, what happened and what is to do."""
