"""One truth: what every screen, answer and message says is what an own log of everything done says."""
