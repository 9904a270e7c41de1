"""What people would build instead, each written as its users would, with the same promise where its design allows."""
