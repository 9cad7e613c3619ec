"""The chat panel: a widget in which a person talks with an agent, also while a cell is busy."""

from __future__ import annotations

import contextvars
import logging
from collections.abc import Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_OID, uuid5

import anywidget
import traitlets

from nbagents._mode import is_final
from nbagents.agents import ChatAgent
from nbagents.errors import ConfigurationError, NbAgentsError
from nbagents.loop import engine, run
from nbagents.models import ChatCompletionClient
from nbagents.notebook._panel import lookups
from nbagents.notebook._panel.dialogue import Dialogue, dialogue_of
from nbagents.notebook._panel.endings import words_for
from nbagents.notebook._panel.inbound import (
    Approve,
    Clear,
    Complete,
    Edit,
    Inbound,
    Restore,
    Retry,
    Send,
    Stop,
    Whole,
    check,
    read,
)
from nbagents.notebook._panel.mentions import check_names, mentions, variables
from nbagents.notebook._panel.saved import SavedCopy, saved_bundle
from nbagents.notebook._panel.telling import Teller

__all__ = ["ChatPanel"]

logger = logging.getLogger("nbagents")

_numbers = count(1)
_STATIC = Path(__file__).parents[1] / "static"
_OURS = frozenset(("_css", "_esm", "busy", "messages", "name", "result", "totals", "value"))
_OF_THE_CLASS = ("_anywidget_id", "_model_", "_view_module", "_view_name")


class ChatPanel(anywidget.AnyWidget):
    """A chat panel of an agent; the last expression of a cell shows it.

    The conversation is the agent's: what a cell asks it appears in the panel, and the other way
    round, and all panels of an agent show the same. Replies go on growing while a cell computes.
    The methods return at once; observers are called on nbagents' own thread.

    Args:
        agent: An agent, or a model client, with which a new conversation begins.

    Attributes:
        agent: The agent.
        name: Its name.
        messages: The conversation as JSON-able data, oldest first; a panel's front end shows it.
        busy: Whether a reply is under way.
        value: The text of the last reply; empty before the first.
        result: The last reply, with its usage; None before the first.
        totals: What the replies took together, in words.

    Raises:
        ConfigurationError: It is neither an agent nor a client.
    """

    # As texts: for a path anywidget keeps every panel that there ever was, to give it a newer file.
    _esm = (_STATIC / "panel.js").read_text(encoding="utf-8")
    _css = (_STATIC / "panel.css").read_text(encoding="utf-8")

    name = traitlets.Unicode(read_only=True).tag(sync=True)
    messages: Any = traitlets.List(read_only=True).tag(sync=True)
    busy = traitlets.Bool(read_only=True).tag(sync=True)
    totals = traitlets.Unicode(read_only=True).tag(sync=True)
    value = traitlets.Unicode(read_only=True)
    result = traitlets.Any(allow_none=True, read_only=True)

    _dialogue: Dialogue | None = None  # none before it is open, and none after it is closed

    def __init__(self, agent: ChatAgent | ChatCompletionClient, **kwargs: Any) -> None:
        self.agent = lookups.agent_of(agent)
        self._teller = Teller(super().send, self._state)
        self._pages = 0
        self._saved = SavedCopy(self._hand_copy)
        if is_final():
            kwargs.setdefault("model_id", uuid5(NAMESPACE_OID, f"panel {next(_numbers)}").hex)
        super().__init__(**kwargs)
        self.set_trait("name", self.agent.name)
        self.on_msg(self._received)
        self._dialogue = run(dialogue_of(self))

    def send(self, text: str, *, images: Sequence[str] = (), attach: Sequence[str] = ()) -> None:
        """Ask the agent; the reply appears in the panel, and in `value` when it is there.

        Args:
            text: The prompt, at most a million characters.
            images: Images as ``data:image/...;base64,`` addresses, at most 20 MB together.
            attach: Names of the kernel's variables.

        Raises:
            ConfigurationError: There is nothing to send, or too much, or no such variable; or the
                panel is closed.
        """
        message = Send(text=text, images=[*images], attach=[*attach])
        check(message)
        check_names(attach, variables())
        self._ask(message)

    def stop(self) -> None:
        """End what panels of this conversation have asked for."""
        self._post(Stop())

    def retry(self, message: str | None = None) -> None:
        """Ask a message once more; what followed it is forgotten.

        Args:
            message: The message's id; the last one when left out.

        Raises:
            ConfigurationError: There is no such message, or the panel is closed.
        """
        self._check_open()
        asked = lookups.last_message(self.messages) if message is None else message
        self._ask(Retry(id=lookups.known_message(self.messages, asked)))

    def edit(self, message: str, text: str) -> None:
        """Ask ``text`` in place of the user's message of that id; what followed it is forgotten.

        Raises:
            ConfigurationError: There is no such message, or the panel is closed.
        """
        self._check_open()
        self._ask(Edit(id=lookups.known_message(self.messages, message), text=text))

    def clear(self) -> None:
        """Have the agent forget the conversation, after the turn under way."""
        self._ask(Clear())

    def restore(self) -> None:
        """Bring back what was cleared last."""
        self._ask(Restore())

    def approve(self, call: str, *, allowed: bool = True) -> None:
        """Say whether the call of that id may run; one that is answered already stays so.

        Raises:
            ConfigurationError: There is no such call, or the panel is closed.
        """
        self._check_open()
        message = lookups.message_of_call(self.messages, call)
        self._ask(Approve(call=call, message=message, allowed=allowed))

    def say(self, text: str) -> None:
        """Add a line to the conversation that is nobody's, and that the agent does not see."""
        if self._dialogue is not None:
            engine().call(self._dialogue.say, text)

    def wait(self, timeout: float | None = None) -> None:
        """Wait until what panels have asked for has come to its end, well or not.

        The calling thread runs the agent's synchronous tools meanwhile; the kernel's interrupt
        ends the waiting, and not the reply.

        Args:
            timeout: Seconds; None waits for as long as it takes.

        Raises:
            TimeoutError: It was not over by then; it goes on.
        """
        if self._dialogue is None:
            return
        try:
            run(self._dialogue.ended(timeout))
        except TimeoutError:
            why = lookups.why_not_over(self.messages)
            raise TimeoutError(f"After {timeout:g} s {why}, or end it with panel.stop().") from None

    def close(self) -> None:
        """End what this panel has asked for, and take the panel away; its `messages` are gone."""
        dialogue, self._dialogue = self._dialogue, None
        if dialogue is not None:
            engine().call(self._let_go, dialogue)
        super().close()

    def _let_go(self, dialogue: Dialogue) -> None:
        # Variables and outputs hold the panel on, and it holds the conversation no longer.
        dialogue.leave(self)
        self._saved.close()
        self._teller.close()
        self.set_trait("messages", [])

    def show(self, dialogue: Dialogue, changes: Sequence[Mapping[str, Any]]) -> None:
        """Take what has changed in the conversation; called by it, on the private loop."""
        for change in changes:
            self._teller.tell(change)
        self._take_traits(dialogue)
        if changes and dialogue.idle:
            self._saved.renew(self.messages)

    def complain(self, text: str, request: str | None = None) -> None:
        """Show in words what did not go well; called on the private loop."""
        self._teller.tell({"kind": "error", "text": text, "request": request})

    def send_state(self, key: Any = None) -> None:
        """Send traits to the front end, but never the conversation: it goes in pieces."""
        if key != "messages":
            super().send_state(key)

    def set_state(self, sync_data: dict[str, Any]) -> None:
        """Take from the front end what is its own to change: the layout and the like."""
        theirs = {
            name: value
            for name, value in sync_data.items()
            if name not in _OURS and not name.startswith(_OF_THE_CLASS)
        }
        super().set_state(theirs)

    def _take_traits(self, dialogue: Dialogue) -> None:
        transcript = dialogue.transcript
        self.set_trait("messages", transcript.messages)
        self.set_trait("totals", str(transcript.totals))
        if transcript.result is not None:
            self.set_trait("value", transcript.result.text or transcript.result.refusal or "")
            self.set_trait("result", transcript.result)
        self.set_trait("busy", not dialogue.idle)

    def _received(self, _: object, content: object, buffers: object) -> None:
        # On whatever thread the kernel runs comms in, with a loop of its own or none.
        message = read(content)
        if message is None:
            kind = content.get("kind") if isinstance(content, dict) else type(content).__name__
            logger.info("A panel's front end sent what is no message: %.80r", kind)
        else:
            self._post(message)

    def _ask(self, message: Inbound) -> None:
        """Post what code asks for."""
        self._check_open()
        self._post(message)

    def _check_open(self) -> None:
        if self._dialogue is None:
            raise ConfigurationError("This panel is closed; open another: agent.panel().")

    def _post(self, message: Inbound) -> None:
        engine().call(self._do, message, context=contextvars.Context())

    def _do(self, message: Inbound) -> None:
        """Do what was asked for; on the private loop."""
        dialogue = self._dialogue
        if dialogue is None:
            return
        if message.request is not None:
            self._teller.tell({"kind": "acknowledged", "request": message.request})
        try:
            self._act(dialogue, message)
        except NbAgentsError as error:
            self.complain(str(error), message.request)
        except Exception as error:
            logger.exception("A panel could not do what it was asked for.")
            self.complain(words_for(error), message.request)

    def _act(self, dialogue: Dialogue, message: Inbound) -> None:
        match message:
            case Send():
                dialogue.send(self, message)
            case Edit():
                dialogue.retry(self, message.id, edit=message)
            case Retry():
                dialogue.retry(self, message.id)
            case Stop():
                dialogue.stop()
            case Clear():
                dialogue.clear(self)
            case Restore():
                dialogue.restore(self)
            case Approve():
                dialogue.turns.answer(message.call, message.message, message.allowed)
            case Complete():
                items = mentions(message.prefix, variables())
                self._teller.tell(
                    {"kind": "completions", "request": message.request, "items": items}
                )
            case Whole():
                self._tell_all(dialogue)
                self._pages += message.fresh
                self._renew_copies()

    def _renew_copies(self) -> None:
        """Have the copy below the panel right in a page that was loaded after its cell ran."""
        if self._pages > 1:
            self._saved.by_hand = True
            self._saved.renew(self.messages)

    def _hand_copy(self, data: Mapping[str, str]) -> None:
        self._teller.tell({"kind": "copy", "view": self.model_id, "data": data})

    def _tell_all(self, dialogue: Dialogue) -> None:
        dialogue.flush()
        transcript = dialogue.transcript
        self._teller.tell_whole({"messages": transcript.messages, "totals": str(transcript.totals)})

    def _state(self) -> dict[str, Any]:
        dialogue = self._dialogue
        waiting_for = dialogue.turns.waiting_for if dialogue is not None else None
        return {"busy": dialogue is not None and not dialogue.idle, "waiting_for": waiting_for}

    @traitlets.observe("comm")
    def _answer_where_asked(self, change: Mapping[str, Any]) -> None:
        """Have the front end's messages handled where they are sent to: on a subshell.

        ipykernel 7.4 hands them to the shell that last sent on the comm, for cells that wait for
        a widget's answer. That is the main one, so that Stop would wait for the running cell.
        """
        comm = change["new"]
        if callable(getattr(comm, "_reply_subshell_for", None)):
            comm._reply_subshell_for = lambda data, subshell: subshell

    def __repr__(self) -> str:
        return f"ChatPanel({self.agent.name!r})"

    def _ipython_display_(self) -> None:
        from IPython.display import publish_display_data

        data, metadata = self._view()
        publish_display_data(data, metadata)  # type: ignore[no-untyped-call]
        self._saved.publish(self.messages)

    def _repr_mimebundle_(self, **kwargs: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        data, metadata = self._view()
        return {**saved_bundle(self.messages), **data}, metadata

    def _view(self) -> tuple[dict[str, Any], dict[str, Any]]:
        bundle = super()._repr_mimebundle_() if self.comm is not None else None
        return bundle or ({"text/plain": f"{self!r}, closed"}, {})
