"""The page about a run: what each test asked its servers, drawn in time."""
