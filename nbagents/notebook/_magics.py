"""The magics: ``%%chat`` and its kin."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

from IPython.core.magic import Magics, cell_magic, line_magic, magics_class, no_var_expand
from traitlets import observe

from nbagents.errors import ConfigurationError
from nbagents.loop import InterruptGuard, run
from nbagents.notebook._arguments import CHAT_HELP, ChatArguments, parse_cell, parse_line
from nbagents.notebook._clients import Clients
from nbagents.notebook._conversation import Conversations
from nbagents.notebook._once import show_no_more
from nbagents.notebook._settings import ChatSettings
from nbagents.notebook._typed_keys import refuse_keys
from nbagents.notebook._variables import user_variables

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    import pandas as pd
    from IPython.core.interactiveshell import InteractiveShell

    from nbagents.agents import ChatAgent
    from nbagents.messages import CreateResult
    from nbagents.notebook._panel.widget import ChatPanel

__all__ = ["ChatMagics"]

# As many columns of the ledger as stand side by side.
_USAGE = ["cell", "source", "model", "prompt_tokens", "completion_tokens"]
_USAGE += ["cost", "seconds", "status"]
# Those of them that are others in each run; nbval does not number cells.
_VARYING = ["cell", "seconds"]

_BELOW = " A prompt stands on the lines below %%chat."


@magics_class
class ChatMagics(ChatSettings, Magics):
    """Chat cells: replies of language models in the output area."""

    shell: Any

    def __init__(self, shell: InteractiveShell) -> None:
        super().__init__(shell=shell)
        self.clients = Clients()
        self.conversations = Conversations()

    # IPython types the decorators for their bare form alone.
    @no_var_expand
    @cell_magic("chat")  # type: ignore[arg-type]
    def chat_cell(self, line: str, cell: str) -> Any:
        """Answer the body of a cell."""
        # Around all of it: an interrupt before the request shows no traceback either.
        with InterruptGuard():
            arguments = parse_cell(line, self.shell.user_ns)
            return self._chat(arguments, cell)

    @no_var_expand
    @line_magic("chat")  # type: ignore[arg-type]
    def chat_line(self, line: str) -> Any:
        """Answer the rest of a line."""
        with InterruptGuard():
            arguments = parse_line(line, self.shell.user_ns)
            return self._chat(arguments, arguments.prompt)

    chat_cell.__doc__ = chat_line.__doc__ = CHAT_HELP  # type: ignore[assignment]

    @line_magic
    def chat_history(self, line: str) -> pd.DataFrame:
        """Return a conversation as a DataFrame, a row a message.

        %chat_history          the notebook's own conversation
        %chat_history tutor    that of the agent or client in the variable `tutor`
        """
        from nbagents.notebook._frames import listing
        from nbagents.notebook._history import history_frame

        name = _name_on(line, "%chat_history")
        if name:
            context = self.conversations.named(name, self.shell.user_ns).model_context
        else:
            context = self.conversations.context(self.buffer_size)
        frame = history_frame(run(context.save_state()))
        return listing(frame, "Nothing has been said yet.")

    @line_magic
    def chat_panel(self, line: str) -> ChatPanel:
        """Open a chat panel.

        %chat_panel          of the notebook's own conversation, which %%chat cells hold
        %chat_panel tutor    of the agent or client in the variable `tutor`
        """
        from nbagents.notebook._panel.widget import ChatPanel

        name = _name_on(line, "%chat_panel")
        if getattr(self.shell, "kernel", None) is None:
            talk = f"%chat {name} Hello" if name else "%chat Hello"
            raise ConfigurationError(
                "A panel is a widget: it needs a notebook, and this is none. Talk in lines: "
                f"{talk}, or a cell of %%chat."
            )
        if name:
            return ChatPanel(self.conversations.named(name, self.shell.user_ns))
        client, notices = self.clients.get(self.model)
        system, size = self.system or None, self.buffer_size
        panel = ChatPanel(self.conversations.own(client, system=system, buffer_size=size))
        for notice in notices:
            panel.say(notice)
        return panel

    @line_magic
    def usage(self, line: str) -> pd.DataFrame:
        """Return the tokens and the cost of every request so far as a DataFrame, a row a request.

        `nbagents.ledger.to_frame()` has all columns. Where outputs are compared from run to run,
        the cells and the seconds are there, and not shown. Totals are a groupby away:

        frame = %usage
        frame.groupby("model", observed=True)[["prompt_tokens", "cost"]].sum()
        """
        from nbagents.notebook._frames import listing, must_not_vary
        from nbagents.usage import ledger

        _nothing_on(line, "%usage", "nbagents.ledger.to_frame() has all columns")
        hidden = _VARYING if must_not_vary() else []
        frame = ledger.to_frame()[_USAGE].round({"seconds": 2})
        return listing(frame, "No requests yet.", hidden=hidden)

    @line_magic
    def agents(self, line: str) -> pd.DataFrame:
        """Return the agents that live in the kernel as a DataFrame, a row an agent."""
        from nbagents.notebook._frames import listing
        from nbagents.notebook._roster import roster_frame

        _nothing_on(line, "%agents", "NAME as the last line of a cell shows one of them")
        none = "No agents yet. Make one: %%chat NAME --new, or NAME = ChatAgent(client)."
        return listing(roster_frame(self.shell.user_ns), none)

    @observe("budget")
    def _budget_changed(self, change: dict[str, Any]) -> None:
        from nbagents.usage import Budget, ledger, set_budget

        limit = change["new"]
        if limit is None:
            set_budget(None)
            return
        advice = "raise %config ChatMagics.budget"
        set_budget(Budget(limit, ledger=ledger, name="the notebook's budget", advice=advice))

    def _chat(self, arguments: ChatArguments, body: str) -> Any:
        if arguments.help:
            self.shell.display_pub.publish({"text/plain": CHAT_HELP})
            return None
        # Not at the top: it brings the renderer, and loading the extension shall cost nothing.
        from nbagents.notebook._prompt import compose
        from nbagents.notebook._turn import request_for, take_turn

        namespace = user_variables(self.shell.user_ns, self.shell.user_ns_hidden)
        agent, notices = self._agent(arguments)
        if arguments.new and not body.strip():
            self.shell.display_pub.publish(agent._repr_mimebundle_())
            return None
        info = agent.client.model_info
        prompt = compose(body, arguments, namespace, info).with_notices(notices)
        request = request_for(arguments, self, namespace, info)
        with _cell_budget(arguments.budget):
            result = take_turn(self.shell, agent, prompt, arguments, request)
        return self._bind(arguments, result)

    def _agent(self, arguments: ChatArguments) -> tuple[ChatAgent, tuple[str, ...]]:
        if arguments.new:
            return self._new_agent(arguments)
        if arguments.name is not None:
            agent = self.conversations.named(arguments.name, self.shell.user_ns, _BELOW)
            if arguments.model:
                self.clients.check(arguments.model, agent)
            if arguments.fresh:
                run(agent.clear())
            return agent.but(system_message=arguments.system or agent.system_message), ()
        if arguments.fresh:
            self.conversations.start_afresh(self.buffer_size)
        client, notices = self.clients.get(arguments.model or self.model)
        system = arguments.system or self.system or None
        agent = self.conversations.own(client, system=system, buffer_size=self.buffer_size)
        if arguments.fresh:
            run(agent.clear())
        return agent, notices

    def _new_agent(self, arguments: ChatArguments) -> tuple[ChatAgent, tuple[str, ...]]:
        client, notices = self.clients.get(arguments.model or self.model)
        namespace = self.shell.user_ns
        agent = self.conversations.new(arguments, client, namespace, self.buffer_size)
        self.shell.push({arguments.name: agent})
        return agent, notices

    def _bind(self, arguments: ChatArguments, result: CreateResult) -> Any:
        value = result.parsed if arguments.schema else result
        if arguments.out:
            self.shell.push({arguments.out: value})
        # The reply is on screen already: make it `_` and `Out[n]` without showing it again.
        self.shell.displayhook.update_user_ns(result)
        show_no_more(self.shell, value)
        return value


def _name_on(line: str, magic: str) -> str:
    refuse_keys(line)
    words = _words(line)
    takes = "the name of an agent or a client, or nothing"
    if words and words[0].startswith("-"):
        raise ConfigurationError(f"There is no option {words[0][:40]}; {magic} takes {takes}.")
    if len(words) > 1:
        raise ConfigurationError(f"{words[1][:40]!r} is out of place: {magic} takes {takes}.")
    return words[0] if words else ""


def _nothing_on(line: str, magic: str, advice: str) -> None:
    refuse_keys(line)
    if words := _words(line):
        raise ConfigurationError(
            f"{words[0][:40]!r} is out of place: {magic} takes nothing. {advice}."
        )


def _words(line: str) -> list[str]:
    return line.partition("#")[0].split()  # a comment may stand behind a magic


def _cell_budget(limit: float | None) -> AbstractContextManager[object]:
    if limit is None:
        return nullcontext()
    from nbagents.usage import Budget, within

    return within(Budget(limit, name="the cell's budget", advice="raise --budget"))
