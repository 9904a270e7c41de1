"""The parts of the page Sessions: who holds slots, who waits, who ended, who was refused, and stopping."""
