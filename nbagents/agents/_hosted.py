"""An agent in a runtime, and as a tool of another agent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from nbagents._cancellation import CancellationToken
from nbagents.messages import CreateResult, UserMessage
from nbagents.runtime import AgentRuntime, AgentType, MessageContext, RoutedAgent, message_handler
from nbagents.tools import FunctionTool

if TYPE_CHECKING:
    from nbagents.agents._chat import ChatAgent

__all__ = ["HostedChatAgent", "as_tool", "register"]


class HostedChatAgent(RoutedAgent):
    """Takes a `UserMessage` and answers with the `CreateResult` of a turn."""

    def __init__(self, agent: ChatAgent) -> None:
        super().__init__(agent.system_message or f"The chat agent {agent.name}.")
        self.agent = agent

    @message_handler
    async def on_user_message(self, message: UserMessage, ctx: MessageContext) -> CreateResult:
        """Take a turn."""
        return await self.agent.ask(message.content, cancellation_token=ctx.cancellation_token)


async def register(agent: ChatAgent, runtime: AgentRuntime, type: str) -> AgentType:  # noqa: A002
    """Let ``agent`` answer the `UserMessage`s that are sent to agents of that type."""
    return await HostedChatAgent.register(runtime, type, lambda: HostedChatAgent(agent))


def as_tool(agent: ChatAgent, name: str | None, description: str | None) -> FunctionTool:
    """A tool that asks ``agent``."""

    async def ask(
        prompt: Annotated[str, "What to ask, with all that is needed to answer it"],
        cancellation_token: CancellationToken,
    ) -> str:
        return str(await agent.ask(prompt, cancellation_token=cancellation_token))

    about = description or f"Ask the agent {agent.name}. {agent.system_message or ''}".strip()
    return FunctionTool(ask, about, name=name or agent.name)
