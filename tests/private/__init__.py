"""Tests that ask at the real addresses; only ``tests/network/test_private_network.py`` runs them, where nobody is."""
