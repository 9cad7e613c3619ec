"""The embedded model: no language model, but scripted replies and a search of the pages."""
