from __future__ import annotations

import json
from enum import Enum
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field

from nbagents.errors import ConfigurationError, ProtocolError
from nbagents.messages import (
    AssistantMessage,
    CreateResult,
    FunctionCall,
    FunctionExecutionResult,
    FunctionExecutionResultMessage,
    Image,
    LLMMessage,
    ModelInfo,
    RequestUsage,
    SystemMessage,
    UserMessage,
)
from nbagents.models._wire.params import (
    check_capabilities,
    parsed_content,
    response_format_for,
    to_params,
    tool_choice_to_param,
    tools_to_params,
)
from nbagents.models._wire.schema import strict_schema

CALL = FunctionCall("c1", '{"city": "Rome"}', "weather")
PIXEL = Image.from_base64("iVBORw0KGgo=")

WEATHER = {
    "name": "weather",
    "description": "The weather somewhere.",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
}


def user(content: Any, source: str = "ada") -> UserMessage:
    return UserMessage(content=content, source=source)


def assistant(content: Any, thought: str | None = None) -> AssistantMessage:
    return AssistantMessage(content=content, thought=thought, source="bot")


def info(**abilities: Any) -> ModelInfo:
    everything: dict[str, Any] = dict.fromkeys(
        ("vision", "function_calling", "json_output", "structured_output"), True
    )
    return ModelInfo(**{**everything, "family": "unknown", **abilities})


class TestMessages:
    def test_each_kind_has_its_role(self) -> None:
        conversation: list[LLMMessage] = [
            SystemMessage(content="Be brief."),
            user("Hi"),
            assistant("Hello"),
            assistant([CALL]),
            FunctionExecutionResultMessage(
                content=[
                    FunctionExecutionResult(content="sunny", name="weather", call_id="c1"),
                    FunctionExecutionResult(content="oops", name="f", call_id="c2", is_error=True),
                ]
            ),
        ]
        assert to_params(conversation) == [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Hi", "name": "ada"},
            {"role": "assistant", "content": "Hello"},
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [
                    {
                        "id": "c1",
                        "type": "function",
                        "function": {"name": "weather", "arguments": '{"city": "Rome"}'},
                    }
                ],
            },
            {"role": "tool", "tool_call_id": "c1", "content": "sunny"},
            {"role": "tool", "tool_call_id": "c2", "content": "oops"},
        ]

    def test_text_and_images_are_content_parts(self) -> None:
        assert to_params([user(["Look:", PIXEL, "Well?"])])[0]["content"] == [
            {"type": "text", "text": "Look:"},
            {"type": "image_url", "image_url": {"url": PIXEL.data_uri, "detail": "auto"}},
            {"type": "text", "text": "Well?"},
        ]

    def test_the_thought_beside_calls_is_their_content(self) -> None:
        assert to_params([assistant([CALL], "I look it up.")])[0]["content"] == "I look it up."

    def test_the_thought_beside_text_stays_here(self) -> None:
        assert to_params([assistant("4", "2 + 2")]) == [{"role": "assistant", "content": "4"}]

    def test_no_calls_are_no_tool_calls(self) -> None:
        assert to_params([assistant([])]) == [{"role": "assistant", "content": ""}]

    def test_a_call_without_arguments_has_an_empty_object(self) -> None:
        (param,) = to_params([assistant([FunctionCall("c", "", "now")])])
        assert param["tool_calls"][0]["function"] == {"name": "now", "arguments": "{}"}

    @pytest.mark.parametrize(
        ("source", "name"),
        [
            ("ada", "ada"),
            ("Ada Lovelace", "Ada_Lovelace"),
            ("zoë@x.org", "zo__x_org"),
            ("x" * 80, "x" * 64),
        ],
    )
    def test_a_source_is_made_to_fit(self, source: str, name: str) -> None:
        assert to_params([user("Hi", source)])[0]["name"] == name

    def test_an_empty_source_is_no_name(self) -> None:
        assert to_params([user("Hi", "")]) == [{"role": "user", "content": "Hi"}]

    def test_names_are_left_out_on_request(self) -> None:
        assert "name" not in to_params([user("Hi")], include_name_in_message=False)[0]

    def test_a_prefix_names_the_source_as_it_is(self) -> None:
        text, parts = to_params(
            [user("Hi", "Ada L."), user([PIXEL, "Hi", "there"], "Ada L.")], add_name_prefixes=True
        )
        assert text["content"] == "Ada L. said:\nHi"
        assert [part.get("text") for part in parts["content"]] == [
            None,
            "Ada L. said:\nHi",
            "there",
        ]

    def test_messages_are_not_changed(self) -> None:
        conversation: list[LLMMessage] = [SystemMessage(content="a "), assistant("b ")]
        before = [message.model_copy(deep=True) for message in conversation]
        to_params(conversation, family="claude-4-opus", multiple_system_messages=False)
        assert conversation == before

    @given(st.text(st.characters(codec=None), max_size=20))
    def test_whatever_the_text_the_wire_can_carry_it(self, text: str) -> None:
        conversation = [
            SystemMessage.model_construct(content=text),
            UserMessage.model_construct(content=text, source=text),
            UserMessage.model_construct(content=[text, PIXEL], source=text),
            AssistantMessage.model_construct(content=text, source=text),
            AssistantMessage.model_construct(
                content=[FunctionCall(text, text, text)], thought=text, source=text
            ),
            FunctionExecutionResultMessage.model_construct(
                content=[FunctionExecutionResult.model_construct(content=text, call_id=text)]
            ),
        ]
        for family in ("gpt-4o", "claude-4-opus", "gemini-2.5-pro", "mistral"):
            params = to_params(conversation, family=family, add_name_prefixes=True)
            json.dumps(params, ensure_ascii=False).encode()


class TestSystemMessages:
    def test_several_become_one_for_a_model_that_takes_one(self) -> None:
        conversation = [user("Hi"), SystemMessage(content="a"), SystemMessage(content="b\n")]
        assert to_params(conversation, multiple_system_messages=False)[1:] == [
            {"role": "system", "content": "a\nb"}
        ]

    def test_several_stay_several_for_others(self) -> None:
        assert len(to_params([SystemMessage(content="a"), SystemMessage(content="b")])) == 2

    def test_an_empty_one_is_dropped_in_merging(self) -> None:
        conversation = [SystemMessage(content=" "), user("Hi")]
        assert len(to_params(conversation, multiple_system_messages=False)) == 1

    def test_several_apart_are_refused_with_the_way_out(self) -> None:
        conversation = [SystemMessage(content="a"), user("Hi"), SystemMessage(content="b")]
        with pytest.raises(ConfigurationError, match="'multiple_system_messages': True"):
            to_params(conversation, multiple_system_messages=False)


class TestFamilies:
    def test_claude_gets_no_empty_messages(self) -> None:
        conversation = [user(" "), user("Hi"), assistant(""), user("?")]
        contents = [each["content"] for each in to_params(conversation, family="claude-4-opus")]
        assert contents == ["Hi", "?"]

    def test_claude_gets_no_space_at_the_end_of_the_last_assistant_message(self) -> None:
        conversation = [assistant("a \n"), user("?"), assistant("Well: \n")]
        contents = [each["content"] for each in to_params(conversation, family="claude-4-opus")]
        assert contents == ["a \n", "?", "Well:"]

    def test_gemini_gets_a_space_for_nothing(self) -> None:
        conversation = [SystemMessage(content=""), user(""), assistant(""), assistant([CALL], "")]
        contents = [each["content"] for each in to_params(conversation, family="gemini-2.5-pro")]
        assert contents == [" ", " ", " ", " "]

    def test_mistral_gets_no_names(self) -> None:
        assert to_params([user("Hi")], family="mistral") == [{"role": "user", "content": "Hi"}]

    def test_the_models_name_stands_for_an_unknown_family(self) -> None:
        assert to_params([user(" ")], model="claude-opus-4-20250514") == []
        assert len(to_params([user(" ")], model="claude-x", family="gpt-4o")) == 1


class Tool:
    name = "weather"
    schema = WEATHER


class TestTools:
    def test_a_tool_and_its_schema_say_the_same(self) -> None:
        function = {**WEATHER, "strict": False}
        expected = [{"type": "function", "function": function}]
        assert tools_to_params([Tool()]) == expected
        assert tools_to_params([WEATHER]) == expected
        assert tools_to_params(expected) == expected

    def test_what_a_schema_leaves_out_is_empty(self) -> None:
        assert tools_to_params([{"name": "now", "strict": True}])[0]["function"] == {
            "name": "now",
            "description": "",
            "parameters": {},
            "strict": True,
        }

    @pytest.mark.parametrize("name", ["", "get weather", "x" * 65, None, "wetter\n"])
    def test_a_name_that_the_api_refuses_is_refused(self, name: Any) -> None:
        with pytest.raises(ConfigurationError, match="A tool is named"):
            tools_to_params([{"name": name}])

    @pytest.mark.parametrize("choice", ["auto", "required", "none"])
    def test_a_choice_is_sent_with_tools_only(self, choice: Any) -> None:
        assert tool_choice_to_param(choice, [WEATHER]) == choice
        assert tool_choice_to_param(choice, []) is None

    def test_a_tool_can_be_chosen(self) -> None:
        assert tool_choice_to_param(Tool(), [WEATHER]) == {
            "type": "function",
            "function": {"name": "weather"},
        }

    def test_a_tool_that_is_not_offered_cannot_be_chosen(self) -> None:
        with pytest.raises(ConfigurationError, match="not in tools"):
            tool_choice_to_param(Tool(), [])

    @pytest.mark.parametrize("choice", ["any", 5, None])
    def test_another_choice_is_refused(self, choice: Any) -> None:
        with pytest.raises(ConfigurationError, match="give 'auto'"):
            tool_choice_to_param(choice, [WEATHER])


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Point(BaseModel):
    """Somewhere."""

    x: int
    y: float = 0.0


class Shape(BaseModel):
    name: str = Field(description="What it is called.")
    colour: Colour = Field(default=Colour.RED, description="Its colour.")
    start: Point = Field(description="Where it starts.")
    others: list[Point] = []
    label: str | None = None
    either: Point | int | None = None
    tags: dict[str, int] = {}


class Node(BaseModel):
    value: int
    children: list[Node] = []


class Described(BaseModel):
    child: Described | None = None
    other: Annotated[Described, Field(description="Itself again.")]


class Cat(BaseModel):
    kind: Literal["cat"]


class Dog(BaseModel):
    kind: Literal["dog"]


class Pet(BaseModel):
    pet: Annotated[Cat | Dog, Field(discriminator="kind")]


class TestResponseFormat:
    def test_a_bool_asks_for_json_or_text(self) -> None:
        assert [response_format_for(flag) for flag in (True, False, None)] == [
            {"type": "json_object"},
            {"type": "text"},
            None,
        ]

    @pytest.mark.parametrize("model", [Point, Shape, Node])
    def test_a_model_asks_for_what_the_sdk_would(self, model: type[BaseModel]) -> None:
        from openai.lib._parsing import type_to_response_format_param

        assert response_format_for(model) == type_to_response_format_param(model)

    def test_a_model_that_describes_itself_within_itself_has_an_end(self) -> None:
        schema = strict_schema(Described)
        assert schema["$defs"]["Described"]["required"] == ["child", "other"]
        json.dumps(schema)

    def test_alternatives_told_apart_by_a_field_are_plain_alternatives(self) -> None:
        pet = strict_schema(Pet)["properties"]["pet"]
        assert pet == {
            "anyOf": [{"$ref": "#/$defs/Cat"}, {"$ref": "#/$defs/Dog"}],
            "title": "Pet",
        }

    def test_anything_else_is_refused(self) -> None:
        with pytest.raises(ConfigurationError, match="give True, False or a pydantic model"):
            response_format_for("json")  # type: ignore[arg-type]


class TestParsedContent:
    @staticmethod
    def reply(content: Any, **fields: Any) -> CreateResult:
        usage = RequestUsage(1, 1)
        fields = {"finish_reason": "stop", "cached": False, **fields}
        return CreateResult(content=content, usage=usage, **fields)

    def test_json_becomes_the_object_asked_for(self) -> None:
        assert parsed_content(Point, self.reply('{"x": 1}')) == Point(x=1)
        assert parsed_content(True, self.reply('{"x": 1}')) == {"x": 1}

    def test_nothing_is_parsed_where_nothing_was_asked_for(self) -> None:
        assert parsed_content(None, self.reply("{}")) is None
        assert parsed_content(False, self.reply("{}")) is None

    def test_calls_refusals_and_cut_replies_have_no_object(self) -> None:
        replies = [
            self.reply([CALL], finish_reason="function_calls"),
            self.reply("", refusal="No."),
            self.reply('{"x"', finish_reason="length"),
        ]
        assert [parsed_content(Point, reply) for reply in replies] == [None, None, None]

    @pytest.mark.parametrize(
        ("wanted", "text", "why"),
        [
            (Point, '{"x": "a"}', "not a Point (x: Input should be"),
            (Point, "hello", "not a Point (Invalid JSON"),
            (True, "hello", "not JSON ("),
            (True, "[" * 100_000, "not JSON ("),
        ],
    )
    def test_a_reply_that_does_not_fit_is_an_error_with_its_text(
        self, wanted: Any, text: str, why: str
    ) -> None:
        with pytest.raises(ProtocolError) as caught:
            parsed_content(wanted, self.reply(text))
        assert why in str(caught.value)
        assert caught.value.partial == text


class TestCapabilities:
    @pytest.mark.parametrize(
        ("ability", "request_"),
        [
            ("vision", {"messages": [user([PIXEL])]}),
            ("function_calling", {"messages": [], "tools": [WEATHER]}),
            ("json_output", {"messages": [], "json_output": True}),
            ("structured_output", {"messages": [], "json_output": Point}),
        ],
    )
    def test_what_a_model_cannot_do_is_refused_by_name(
        self, ability: str, request_: dict[str, Any]
    ) -> None:
        check_capabilities(info(), **request_)
        with pytest.raises(ConfigurationError, match=f"needs {ability}"):
            check_capabilities(info(**{ability: False}), **request_)
