"""The subscriptions of a runtime, and whom a topic reaches."""

from __future__ import annotations

from nbagents.errors import AgentLookupError
from nbagents.runtime._identity import AgentId, TopicId
from nbagents.runtime._subscriptions import Subscription

__all__ = ["Topics"]

_REMEMBERED = 1024


class Topics:
    """The subscriptions of a runtime.

    A subscription that equals an earlier one takes its place. Those that came with the
    registration of an agent type go when the type is registered again.
    """

    def __init__(self) -> None:
        self._subscriptions: list[tuple[Subscription, str | None]] = []
        self._recipients: dict[TopicId, tuple[AgentId, ...]] = {}

    def add(self, subscription: Subscription, owner: str | None) -> None:
        """Add a subscription; ``owner`` is the agent type it is part of, if any."""
        entry = (subscription, owner)
        self._recipients.clear()
        for index, (known, _) in enumerate(self._subscriptions):
            if known == subscription:
                self._subscriptions[index] = entry
                return
        self._subscriptions.append(entry)

    def remove(self, id: str) -> None:
        """Take the subscription of that id away.

        Raises:
            AgentLookupError: There is none.
        """
        kept = [entry for entry in self._subscriptions if entry[0].id != id]
        if len(kept) == len(self._subscriptions):
            raise AgentLookupError(f"There is no subscription with the id {id!r}.")
        self._subscriptions = kept
        self._recipients.clear()

    def remove_owned(self, agent_type: str) -> None:
        """Take away what came with the registration of an agent type."""
        self._subscriptions = [entry for entry in self._subscriptions if entry[1] != agent_type]
        self._recipients.clear()

    def remove_type(self, agent_type: str) -> None:
        """Take away all that leads to agents of a type, as far as that can be told."""
        self._subscriptions = [
            (subscription, owner)
            for subscription, owner in self._subscriptions
            if agent_type not in (owner, getattr(subscription, "agent_type", None))
        ]
        self._recipients.clear()

    def recipients(self, topic: TopicId) -> tuple[AgentId, ...]:
        """Return the agents that hear of a topic, each once, in order of subscription."""
        known = self._recipients.get(topic)
        if known is None:
            # Sources may be without number, such as sessions; what is remembered is not.
            if len(self._recipients) >= _REMEMBERED:
                self._recipients.clear()
            matching = [entry[0] for entry in self._subscriptions if entry[0].is_match(topic)]
            known = tuple(dict.fromkeys(one.map_to_agent(topic) for one in matching))
            self._recipients[topic] = known
        return known
