"""What does the code of a project build? A process that loads it, and answers :mod:`truing.drift.exchange`."""
