"""Measures the limiter against a no-op of the same stack, and against what people would build instead."""
