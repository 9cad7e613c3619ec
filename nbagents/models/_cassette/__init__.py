"""Cassettes: replies recorded once in a readable file, and replayed to who asks the same."""
