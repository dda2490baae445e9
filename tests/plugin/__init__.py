"""The plugin, in runs of pytest of its own."""
