"""What can break, and when: pure values and counters. What only a socket can do is written down in a script for it."""
