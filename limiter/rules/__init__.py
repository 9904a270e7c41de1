"""The rules: facts in, decision out. No IO, no clock, no randomness, no logging."""
