"""What real machines answered, and what we answer."""
