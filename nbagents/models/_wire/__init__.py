"""The wire, pure: messages to parameters, bytes to events, events to a reply. No I/O."""
