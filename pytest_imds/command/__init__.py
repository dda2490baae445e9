"""The command line: the same server without pytest, for other languages, for containers, and for people with curl."""
