"""nbagents."""
