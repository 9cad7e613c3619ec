import copy
import pickle
import subprocess
import sys
from dataclasses import asdict

import pytest

from nbagents.errors import ConfigurationError
from nbagents.messages import UserMessage
from nbagents.models import _resolve
from nbagents.models._local import LocalServer
from nbagents.models._resolve import default_client, resolve

EMBEDDED = "nbagents-embedded"
QUESTION = [UserMessage(content="Hello", source="user")]


@pytest.fixture
def machine(monkeypatch):
    """A machine with these variables set, and requests not restricted; local ports are closed."""
    monkeypatch.delenv("NBAGENTS_REQUESTS")
    monkeypatch.setenv("NBAGENTS_PROBE", "0")

    def set_up(**variables):
        for name, value in variables.items():
            monkeypatch.setenv(name, value)

    return set_up


@pytest.fixture
def ollama(machine, monkeypatch, loopback_server):
    """Ollama's port is that of a loopback server, which has one model."""
    server = LocalServer("ollama", "Ollama", loopback_server.port)
    monkeypatch.setattr(_resolve, "_LOCAL", {"ollama": server})
    monkeypatch.delenv("NBAGENTS_PROBE")
    return loopback_server


def test_on_a_bare_machine_the_embedded_model_answers(machine):
    found = resolve()
    assert (found.provider, found.model) == ("embedded", EMBEDDED)
    assert found.reason == (
        "nbagents-embedded, which is no language model (no key is set and no local server was "
        "found)"
    )


def test_a_key_means_openai(machine):
    machine(OPENAI_API_KEY="sk-secret", AZURE_OPENAI_ENDPOINT="https://mine.openai.azure.com")
    found = resolve()
    assert (found.provider, found.model) == ("openai", "gpt-4.1-mini")
    assert found.reason == "gpt-4.1-mini at api.openai.com (OPENAI_API_KEY is set)"


def test_another_address_is_named(machine):
    machine(OPENAI_API_KEY="sk-secret", OPENAI_BASE_URL="https://user:pw@gate.example:8443/v1")
    assert resolve("m").reason == "m at gate.example:8443 (OPENAI_BASE_URL is set)"


def test_azures_variables_mean_azure(machine):
    machine(
        AZURE_OPENAI_ENDPOINT="https://mine.openai.azure.com",
        AZURE_OPENAI_API_KEY="secret",
        AZURE_OPENAI_DEPLOYMENT="prod",
    )
    found = resolve()
    assert (found.provider, found.model) == ("azure", "prod")
    assert found.reason == "prod at mine.openai.azure.com (Azure, key)"
    assert resolve("other").settings == {"model": "other", "azure_deployment": "other"}


def test_azure_without_a_key_signs_in_with_entra_id(machine):
    machine(AZURE_OPENAI_ENDPOINT="https://mine.openai.azure.com", AZURE_OPENAI_DEPLOYMENT="prod")
    found = resolve()
    assert found.reason == "prod at mine.openai.azure.com (Azure, Entra ID)"
    assert callable(found.settings["azure_ad_token_provider"].get_token)


def test_azure_without_a_key_or_azure_identity_says_what_to_install(machine, monkeypatch):
    machine(AZURE_OPENAI_ENDPOINT="https://mine.openai.azure.com", AZURE_OPENAI_DEPLOYMENT="prod")
    monkeypatch.setitem(sys.modules, "azure.identity", None)
    with pytest.raises(ConfigurationError, match="pip install azure-identity"):
        resolve()


def test_azure_needs_a_deployment(machine):
    machine(AZURE_OPENAI_ENDPOINT="https://mine.openai.azure.com", AZURE_OPENAI_API_KEY="secret")
    with pytest.raises(ConfigurationError, match="AZURE_OPENAI_DEPLOYMENT"):
        resolve()


def test_a_server_on_its_usual_port_answers_with_its_first_model(ollama):
    found = resolve()
    assert (found.provider, found.model) == ("ollama", EMBEDDED)
    assert found.reason == f"{EMBEDDED} (Ollama, port {ollama.port} of this computer)"


async def test_it_really_answers_and_never_sees_the_openai_key(ollama, machine):
    machine(OPENAI_API_KEY="sk-secret")
    client = default_client(f"ollama:{EMBEDDED}")
    ollama.will_reply("Good evening.")
    assert (await client.create(QUESTION)).content == "Good evening."
    assert "sk-secret" not in str(ollama.requests[-1].headers)
    await client.close()


def test_a_model_that_no_local_server_has_is_refused_with_those_it_has(ollama):
    with pytest.raises(ConfigurationError) as caught:
        resolve("llama9")
    assert str(caught.value) == (
        f"No server on this computer has 'llama9': Ollama has {EMBEDDED}. Name one of these."
    )


def test_a_server_asked_for_that_does_not_answer_is_an_error(ollama):
    ollama.stop()
    with pytest.raises(ConfigurationError, match="Ollama does not answer at"):
        resolve("ollama:llama3.2")


def test_a_base_url_on_this_machine_is_asked_for_its_models(machine, loopback_server):
    assert resolve(base_url=loopback_server.base_url).model == EMBEDDED
    machine(OPENAI_BASE_URL=loopback_server.base_url)
    assert resolve().model == EMBEDDED
    assert resolve("other").model == "other"


def test_settings_go_before_variables(machine):
    machine(OPENAI_API_KEY="sk-secret")
    azure = resolve("prod", azure_endpoint="https://mine.openai.azure.com", api_key="other")
    assert (azure.provider, azure.reason) == ("azure", "prod at mine.openai.azure.com (Azure, key)")
    machine(AZURE_OPENAI_ENDPOINT="https://mine.openai.azure.com")
    assert resolve(api_key="sk-other").reason == "gpt-4.1-mini at api.openai.com (as set)"


def test_the_model_comes_from_the_argument_then_nbagents_then_openais_variable(machine):
    machine(OPENAI_API_KEY="sk-secret", OPENAI_MODEL="third")
    assert resolve().model == "third"
    machine(NBAGENTS_MODEL="second")
    assert resolve().model == "second"
    assert resolve("first").model == "first"


def test_a_provider_before_the_name_decides(machine):
    machine(OPENAI_API_KEY="sk-secret", AZURE_OPENAI_API_KEY="secret")
    assert resolve("azure:prod").provider == "azure"
    assert resolve("openai:gpt-4.1").model == "gpt-4.1"
    assert resolve("embedded").provider == "embedded"
    assert resolve(EMBEDDED).provider == "embedded"
    assert resolve("llama3.2:1b").model == "llama3.2:1b"


def test_a_model_asked_for_where_only_the_embedded_one_is_gives_the_next_step(machine):
    with pytest.raises(ConfigurationError) as caught:
        resolve("gpt-4.1")
    assert str(caught.value) == (
        "Only the embedded model is here, not 'gpt-4.1': no key is set and no local server was "
        "found. Start a server such as Ollama on this computer; or set OPENAI_API_KEY, or "
        "AZURE_OPENAI_ENDPOINT and AZURE_OPENAI_API_KEY, before Jupyter is started."
    )


def test_what_the_switch_forbids_is_passed_over(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    assert resolve().reason == (
        "nbagents-embedded, which is no language model (NBAGENTS_REQUESTS forbids what "
        "OPENAI_API_KEY would allow)"
    )
    with pytest.raises(ConfigurationError, match="Unset NBAGENTS_REQUESTS, or name no model"):
        resolve("gpt-4.1")


@pytest.mark.parametrize("show", [repr, str])
def test_no_key_is_shown(machine, show):
    machine(OPENAI_API_KEY="sk-secret")
    assert "sk-" not in show(resolve())
    assert "sk-" not in show(resolve(api_key="sk-other"))


def test_no_key_is_in_what_a_resolution_holds():
    headers = {"x-api-key": "canary"}
    found = resolve(api_key="canary", default_headers=headers)
    assert "canary" not in f"{vars(found)} {asdict(copy.deepcopy(found))}"
    with pytest.raises(ConfigurationError, match="not pickled"):
        pickle.dumps(found)


@pytest.mark.parametrize("requests", ["on", "loopback", "off"])
async def test_the_embedded_model_answers_whatever_the_switch_says(monkeypatch, requests):
    monkeypatch.setenv("NBAGENTS_REQUESTS", requests)
    monkeypatch.setenv("NBAGENTS_PROBE", "0")
    client = default_client()
    result = await client.create(QUESTION)
    assert result.content.startswith("I am nbagents' embedded model")
    assert (result.model, result.finish_reason, result.usage.estimated) == (EMBEDDED, "stop", True)
    await client.close()


def test_to_resolve_imports_neither_the_sdk_nor_its_http_library():
    script = (
        "import sys; from nbagents.models._resolve import resolve; resolve();"
        "print(sorted({'openai', 'httpx2', 'pandas'} & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert run.stdout == "[]\n"
