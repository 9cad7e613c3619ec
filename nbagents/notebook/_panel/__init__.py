"""The chat panel's kernel side; its front end is the script and the style sheet in ``static/``.

From the agent to the screen:

* `transcript` makes an agent's events into a conversation of `entries` (one is a message as the
  front end takes it), whose text is `growing` by blocks of HTML, and counts the `totals`. Plain
  data: none of it knows of widgets, loops or threads.
* `dialogue` is what happens in a conversation: who looks at it, what they have asked for, which
  tool calls wait for an answer. One for a conversation, on nbagents' private loop; its `outbox`
  says when the panels are painted.
* `widget` is `ChatPanel`: it sends what has changed, and leaves a `saved` copy below itself for
  notebooks that are read without a kernel.

And back: `inbound` checks what a front end says, `lookups` what code gives, `mentions`
completes and attaches variables, and `rewind` takes the agent's memory back to an earlier message.
"""
