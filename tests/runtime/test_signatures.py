"""The names have AutoGen's signatures: what they take, by which name, with which default.

The table was written down from AutoGen 0.7.5, without annotations. Where something is added,
it is a keyword of its own.
"""

from __future__ import annotations

import inspect
from typing import Any

import pytest

import nbagents
from nbagents import errors

TABLE = """
AgentId(type, key)
AgentId.from_str(agent_id)
AgentInstantiationContext.current_agent_id()
AgentInstantiationContext.current_runtime()
AgentInstantiationContext.is_in_factory_call()
AgentInstantiationContext.populate_context(ctx)
AgentProxy(agent, runtime)
AgentProxy.load_state(self, state)
AgentProxy.save_state(self)
AgentProxy.send_message(self, message, *, sender, cancellation_token=None, message_id=None)
AgentType(type)
BaseAgent(description)
BaseAgent.bind_id_and_runtime(self, id, runtime)
BaseAgent.close(self)
BaseAgent.load_state(self, state)
BaseAgent.on_message(self, message, ctx)
BaseAgent.on_message_impl(self, message, ctx)
BaseAgent.publish_message(self, message, topic_id, *, cancellation_token=None)
BaseAgent.register(runtime, type, factory, *, skip_class_subscriptions=False, \
skip_direct_message_subscription=False)
BaseAgent.register_instance(self, runtime, agent_id, *, skip_class_subscriptions=True, \
skip_direct_message_subscription=False)
BaseAgent.save_state(self)
BaseAgent.send_message(self, message, recipient, *, cancellation_token=None, message_id=None)
CancellationToken()
CancellationToken.add_callback(self, callback)
CancellationToken.cancel(self)
CancellationToken.is_cancelled(self)
CancellationToken.link_future(self, future)
ClosureAgent(description, closure, *, unknown_type_policy='warn')
ClosureAgent.register_closure(runtime, type, closure, *, unknown_type_policy='warn', \
skip_direct_message_subscription=False, description='', subscriptions=None)
ClosureContext.publish_message(self, message, topic_id, *, cancellation_token=None)
ClosureContext.send_message(self, message, recipient, *, cancellation_token=None, message_id=None)
DefaultInterventionHandler.on_publish(self, message, *, message_context)
DefaultInterventionHandler.on_response(self, message, *, sender, recipient)
DefaultInterventionHandler.on_send(self, message, *, message_context, recipient)
DefaultSubscription(topic_type='default', agent_type=None)
DefaultTopicId(type='default', source=None)
DropMessage()
InterventionHandler.on_publish(self, message, *, message_context)
InterventionHandler.on_response(self, message, *, sender, recipient)
InterventionHandler.on_send(self, message, *, message_context, recipient)
MessageContext(sender, topic_id, is_rpc, cancellation_token, message_id)
RoutedAgent(description)
RoutedAgent.on_message_impl(self, message, ctx)
RoutedAgent.on_unhandled_message(self, message, ctx)
SingleThreadedAgentRuntime(*, intervention_handlers=None, tracer_provider=None, \
ignore_unhandled_exceptions=True)
SingleThreadedAgentRuntime.add_message_serializer(self, serializer)
SingleThreadedAgentRuntime.add_subscription(self, subscription)
SingleThreadedAgentRuntime.agent_load_state(self, agent, state)
SingleThreadedAgentRuntime.agent_metadata(self, agent)
SingleThreadedAgentRuntime.agent_save_state(self, agent)
SingleThreadedAgentRuntime.close(self)
SingleThreadedAgentRuntime.get(self, id_or_type, /, key='default', *, lazy=True)
SingleThreadedAgentRuntime.load_state(self, state)
SingleThreadedAgentRuntime.process_next(self)
SingleThreadedAgentRuntime.publish_message(self, message, topic_id, *, sender=None, \
cancellation_token=None, message_id=None)
SingleThreadedAgentRuntime.register_agent_instance(self, agent_instance, agent_id)
SingleThreadedAgentRuntime.register_factory(self, type, agent_factory, *, expected_class=None)
SingleThreadedAgentRuntime.remove_subscription(self, id)
SingleThreadedAgentRuntime.save_state(self)
SingleThreadedAgentRuntime.send_message(self, message, recipient, *, sender=None, \
cancellation_token=None, message_id=None)
SingleThreadedAgentRuntime.start(self)
SingleThreadedAgentRuntime.stop(self)
SingleThreadedAgentRuntime.stop_when(self, condition)
SingleThreadedAgentRuntime.stop_when_idle(self)
SingleThreadedAgentRuntime.try_get_underlying_agent_instance(self, id, type=Agent)
Subscription.is_match(self, topic_id)
Subscription.map_to_agent(self, topic_id)
TopicId(type, source)
TopicId.from_str(topic_id)
TypePrefixSubscription(topic_type_prefix, agent_type, id=None)
TypeSubscription(topic_type, agent_type, id=None)
default_subscription(cls=None)
event(func=None, *, strict=True, match=None)
message_handler(func=None, *, strict=True, match=None)
rpc(func=None, *, strict=True, match=None)
type_subscription(topic_type)
"""

PROPERTIES = {
    "Agent": {"id", "metadata"},
    "AgentId": {"type", "key"},
    "AgentProxy": {"id", "metadata"},
    "BaseAgent": {"id", "type", "metadata", "runtime"},
    "ClosureAgent": {"id", "metadata", "runtime"},
    "ClosureContext": {"id"},
    "SingleThreadedAgentRuntime": {"unprocessed_messages_count"},
    "Subscription": {"id"},
    "TypePrefixSubscription": {"id", "topic_type_prefix", "agent_type"},
    "TypeSubscription": {"id", "topic_type", "agent_type"},
}

PROTOCOLS = {
    "Agent": "bind_id_and_runtime on_message save_state load_state close",
    "AgentRuntime": "send_message publish_message register_factory register_agent_instance "
    "try_get_underlying_agent_instance get save_state load_state agent_metadata "
    "agent_save_state agent_load_state add_subscription remove_subscription "
    "add_message_serializer",
}


def written(name: str) -> str:
    """The signature as the table writes it."""
    thing: Any = nbagents
    for part in name.split("."):
        thing = getattr(thing, part)
    parameters = inspect.signature(thing).parameters.values()
    bare = [parameter.replace(annotation=parameter.empty) for parameter in parameters]
    return f"{name}{inspect.Signature(bare)}".replace(
        "<class 'nbagents.runtime._protocol.Agent'>", "Agent"
    )


@pytest.mark.parametrize("line", [line for line in TABLE.split("\n") if line])
def test_a_name_takes_what_autogens_does(line: str) -> None:
    assert written(line.partition("(")[0]) == line


@pytest.mark.parametrize("name", sorted(PROPERTIES))
def test_a_class_has_the_properties_of_autogens(name: str) -> None:
    kind = getattr(nbagents, name)
    missing = [one for one in PROPERTIES[name] if not isinstance(getattr(kind, one), property)]
    assert missing == []


@pytest.mark.parametrize("name", sorted(PROTOCOLS))
def test_a_protocol_asks_for_what_the_runtime_has(name: str) -> None:
    protocol = getattr(nbagents, name)
    real = {"Agent": "BaseAgent", "AgentRuntime": "SingleThreadedAgentRuntime"}[name]
    for method in PROTOCOLS[name].split():
        asked = list(inspect.signature(getattr(protocol, method)).parameters.values())
        given = list(
            inspect.signature(getattr(getattr(nbagents, real), method)).parameters.values()
        )
        assert [(one.name, one.kind, one.default) for one in asked] == [
            (one.name, one.kind, one.default) for one in given
        ]


def test_metadata_has_autogens_keys() -> None:
    assert set(nbagents.AgentMetadata.__annotations__) == {"type", "key", "description"}


@pytest.mark.parametrize(
    "name",
    [
        "CantHandleException",
        "UndeliverableException",
        "MessageDroppedException",
        "NotAccessibleError",
    ],
)
def test_the_exceptions_are_ours_too(name: str) -> None:
    assert issubclass(getattr(errors, name), errors.NbAgentsError)


@pytest.mark.parametrize(
    ("ours", "autogens"),
    [
        (errors.AgentLookupError, LookupError),  # an unknown agent
        (errors.AgentLookupError, ValueError),  # an unknown subscription
        (errors.AgentTypeError, TypeError),
        (errors.ConfigurationError, ValueError),  # a name, an instance of another class
        (errors.HandlerDefinitionError, AssertionError),  # an annotation
        (errors.HandlerDefinitionError, ValueError),  # an answer of another type
        (errors.RuntimeStateError, RuntimeError),
    ],
)
def test_what_autogen_raises_catches_what_we_raise(ours: type, autogens: type) -> None:
    assert issubclass(ours, autogens)
