"""Trials that try to break what nbagents promises: ``python -m tests.torture`` runs them whole."""
