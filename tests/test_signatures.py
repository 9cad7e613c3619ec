"""Clients, contexts and tools take what AutoGen's do: by which name, with which default.

The tables were written down from AutoGen 0.7.5, without annotations; ``()`` stands for its ``[]``
as a default. Where something is added, it is a keyword of its own.
"""

from __future__ import annotations

import inspect
from importlib import import_module
from typing import Any

import pytest

from nbagents.models import AzureOpenAIChatCompletionClient, OpenAIChatCompletionClient

ASKING = "messages, *, tools=(), tool_choice='auto', json_output=None, extra_create_args={}, \
cancellation_token=None"
COUNTING = "messages, *, tools=()"
CLIENT = f"""
create(self, {ASKING})
create_stream(self, {ASKING})
close(self)
actual_usage(self)
total_usage(self)
count_tokens(self, {COUNTING})
remaining_tokens(self, {COUNTING})
"""
CLIENTS = [
    "ChatCompletionClient",
    "OpenAIChatCompletionClient",
    "AzureOpenAIChatCompletionClient",
    "ReplayChatCompletionClient",
    "RecordingChatCompletionClient",
    "ChatCompletionCache",
]

TABLE = """
models.CreateResult(*, finish_reason, content, usage, cached, logprobs=None, thought=None)
models.UserMessage(*, content, source, type='UserMessage')
models.SystemMessage(*, content, type='SystemMessage')
models.AssistantMessage(*, content, thought=None, source, type='AssistantMessage')
models.FunctionExecutionResult(*, content, name, call_id, is_error=None)
models.FunctionExecutionResultMessage(*, content, type='FunctionExecutionResultMessage')
models.RequestUsage(prompt_tokens, completion_tokens)
models.TopLogprob(logprob, bytes=None)
models.ChatCompletionTokenLogprob(*, token, logprob, top_logprobs=None, bytes=None)
models.ModelFamily.is_claude(family)
models.ModelFamily.is_gemini(family)
models.ModelFamily.is_llama(family)
models.ModelFamily.is_mistral(family)
models.ModelFamily.is_openai(family)
models.ReplayChatCompletionClient(chat_completions, model_info=None)
models.ReplayChatCompletionClient.reset(self)
models.ReplayChatCompletionClient.set_cached_bool_value(self, value)
models.ChatCompletionCache(client, store=None)
models.CacheStore.get(self, key, default=None)
models.CacheStore.set(self, key, value)
models.InMemoryStore()
models.FunctionCall(id, arguments, name)
models.Image(image)
models.Image.from_base64(base64_str)
models.Image.from_file(file_path)
models.Image.from_pil(pil_image)
models.Image.from_uri(uri)
models.Image.to_base64(self)
models.Image.to_openai_format(self, detail='auto')
model_context.ChatCompletionContext(initial_messages=None)
model_context.ChatCompletionContext.add_message(self, message)
model_context.ChatCompletionContext.clear(self)
model_context.ChatCompletionContext.get_messages(self)
model_context.ChatCompletionContext.load_state(self, state)
model_context.ChatCompletionContext.save_state(self)
model_context.UnboundedChatCompletionContext(initial_messages=None)
model_context.BufferedChatCompletionContext(buffer_size, initial_messages=None)
model_context.HeadAndTailChatCompletionContext(head_size, tail_size, initial_messages=None)
model_context.TokenLimitedChatCompletionContext(model_client, *, token_limit=None, \
tool_schema=None, initial_messages=None)
tools.BaseTool(args_type, return_type, name, description, strict=False)
tools.BaseTool.args_type(self)
tools.BaseTool.load_state_json(self, state)
tools.BaseTool.return_type(self)
tools.BaseTool.return_value_as_string(self, value)
tools.BaseTool.run(self, args, cancellation_token)
tools.BaseTool.run_json(self, args, cancellation_token, call_id=None)
tools.BaseTool.save_state_json(self)
tools.BaseTool.state_type(self)
tools.FunctionTool(func, description, name=None, global_imports=(), strict=False)
tools.FunctionTool.run(self, args, cancellation_token)
tools.ToolAgent(description, tools)
tools.ToolAgent.handle_function_call(self, message, ctx)
tools.ToolException(call_id, content, name)
tools.ToolNotFoundException(call_id, content, name)
tools.InvalidToolArgumentsException(call_id, content, name)
tools.ToolExecutionException(call_id, content, name)
tools.tool_agent_caller_loop(caller, tool_agent_id, model_client, input_messages, tool_schema, \
cancellation_token=None, caller_source='assistant')
"""

PROPERTIES = {
    "models.ChatCompletionClient": "capabilities model_info",
    "models.ReplayChatCompletionClient": "capabilities model_info create_calls",
    "models.ChatCompletionCache": "capabilities model_info",
    "models.Image": "data_uri",
    "tools.BaseTool": "name description schema",
    "tools.ToolAgent": "tools",
}

SAMPLING = {
    "frequency_penalty": 0.5,
    "logit_bias": {"50256": -100},
    "max_tokens": 10,
    "parallel_tool_calls": False,
    "presence_penalty": 0.5,
    "reasoning_effort": "low",
    "response_format": {"type": "text"},
    "seed": 1,
    "stop": ["."],
    "stream_options": {"include_usage": True},
    "temperature": 0.5,
    "top_p": 0.5,
    "user": "ada",
}
SETTINGS = {
    "add_name_prefixes": True,
    "api_key": "of-nobody",
    "default_headers": {"x-team": "mathematics"},
    "include_name_in_message": False,
    "max_retries": 1,
    "model": "gpt-4o",
    "model_info": {
        "vision": True,
        "function_calling": True,
        "json_output": True,
        "structured_output": True,
        "family": "gpt-4o",
    },
    "organization": "org",
    "timeout": 5.0,
}
AZURE = {
    "api_version": "2024-10-21",
    "azure_ad_token": None,
    "azure_ad_token_provider": None,
    "azure_deployment": "mine",
    "azure_endpoint": "https://mine.openai.azure.com",
}


def thing_of(path: str) -> Any:
    module, *names = path.split(".")
    thing: Any = import_module(f"nbagents.{module}")
    for name in names:
        thing = getattr(thing, name)
    return thing


def parameters_of(path: str) -> list[str]:
    """The parameters as the tables write them."""
    parameters = inspect.signature(thing_of(path)).parameters.values()
    bare = [parameter.replace(annotation=parameter.empty) for parameter in parameters]
    return str(inspect.Signature(bare))[1:-1].split(", ")


def takes(path: str, wanted: list[str]) -> bool:
    """Whether all that is wanted is taken, in this order, and what is added is optional."""
    given = parameters_of(path)
    added = given[len(wanted) :]
    return given[: len(wanted)] == wanted and all("=" in each or each == "*" for each in added)


@pytest.mark.parametrize("line", [line for line in TABLE.split("\n") if line])
def test_a_name_takes_what_autogens_does(line: str) -> None:
    path, _, parameters = line[:-1].partition("(")
    assert takes(path, parameters.split(", ")), parameters_of(path)


@pytest.mark.parametrize("line", [line for line in CLIENT.split("\n") if line])
@pytest.mark.parametrize("client", CLIENTS)
def test_every_client_is_asked_as_autogens_are(client: str, line: str) -> None:
    method, _, parameters = line[:-1].partition("(")
    assert takes(f"models.{client}.{method}", parameters.split(", "))


@pytest.mark.parametrize("path", sorted(PROPERTIES))
def test_a_class_has_the_properties_of_autogens(path: str) -> None:
    names = PROPERTIES[path].split()
    assert [name for name in names if not isinstance(getattr(thing_of(path), name), property)] == []


async def test_the_clients_take_the_settings_of_autogens() -> None:
    base = {**SETTINGS, **SAMPLING}
    async with OpenAIChatCompletionClient(**base, base_url="https://api.openai.com/v1") as client:
        assert client.model_info["vision"]
    async with AzureOpenAIChatCompletionClient(**base, **AZURE) as client:
        assert client.model_info["vision"]
