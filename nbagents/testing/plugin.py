"""Support for tests: loopback servers and the pytest plugin."""
