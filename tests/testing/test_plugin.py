import os
import subprocess
import sys

import pytest

pytest_plugins = ["pytester"]

ASKS_OUTSIDE = """
    import pytest
    from nbagents.errors import ConfigurationError
    from nbagents.models._requests import check_allowed

    def test_outside({fixture}):
        with pytest.raises(ConfigurationError, match="api.openai.com"):
            check_allowed("https://api.openai.com/v1")
        check_allowed("http://127.0.0.1:1234/v1")
"""


@pytest.fixture
def run(pytester, monkeypatch):
    """Run pytest in an empty project, with our plugin and no others."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    return lambda *options: pytester.runpytest("-p", "nbagents.testing.plugin", *options)


def test_a_setting_keeps_the_suite_on_this_computer(pytester, run, monkeypatch):
    monkeypatch.delenv("NBAGENTS_REQUESTS", raising=False)
    pytester.makepyfile(ASKS_OUTSIDE.format(fixture=""))
    assert run().ret == 1
    pytester.makeini("[pytest]\nnbagents_requests = loopback\n")
    assert run().ret == 0


def test_the_option_wins_over_the_setting(pytester, run):
    pytester.makeini("[pytest]\nnbagents_requests = loopback\n")
    pytester.makepyfile(ASKS_OUTSIDE.format(fixture=""))
    assert run("--nbagents-requests=on").ret == 1


def test_a_fixture_does_the_same_for_one_test(pytester, run, monkeypatch):
    monkeypatch.delenv("NBAGENTS_REQUESTS", raising=False)
    pytester.makepyfile(ASKS_OUTSIDE.format(fixture="no_requests"))
    assert run().ret == 0


def test_subprocesses_inherit_the_switch_and_it_ends_with_the_run(pytester, run, monkeypatch):
    monkeypatch.setenv("NBAGENTS_REQUESTS", "on")
    pytester.makepyfile(
        """
        import subprocess, sys

        def test_child():
            script = "import os; print(os.environ['NBAGENTS_REQUESTS'])"
            run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
            assert run.stdout.strip() == "off"
        """
    )
    assert run("--nbagents-requests=off").ret == 0
    assert os.environ["NBAGENTS_REQUESTS"] == "on"


def test_a_setting_that_means_nothing_is_refused(pytester, run):
    pytester.makeini("[pytest]\nnbagents_requests = maybe\n")
    finished = run()
    assert finished.ret == 4
    finished.stderr.fnmatch_lines(["*it can be on, loopback, off.*"])


def test_the_fixture_gives_a_server_that_answers(pytester, run):
    pytester.makepyfile(
        """
        from urllib.request import urlopen

        def test_server(loopback_server):
            with urlopen(loopback_server.base_url + "/models") as answer:
                assert b"nbagents-embedded" in answer.read()
            assert [request.path for request in loopback_server.requests] == ["/v1/models"]
        """
    )
    assert run().ret == 0


def test_a_project_that_does_not_use_it_pays_for_nothing():
    script = (
        "import sys, pytest; before = set(sys.modules); import nbagents.testing.plugin;"
        "print(*set(sys.modules) - before)"
    )
    child = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)
    assert set(child.stdout.decode().split()) <= {
        "nbagents",
        "nbagents._version",
        "nbagents.testing",
        "nbagents.testing.plugin",
    }


ALONE = ("no:nbval", "no:nbmake", "no:xdist", "no:asyncio")


@pytest.mark.parametrize(("without", "outcome"), [(ALONE, {"passed": 1}), (("no:nbagents",), {})])
def test_it_warns_of_nothing_without_other_plugins_and_is_gone_when_switched_off(
    pytester, without, outcome
):
    pytester.makepyfile("def test_it(chat_client): assert chat_client('Hello')")
    options = [option for name in without for option in ("-p", name)]
    finished = pytester.runpytest_subprocess("-W", "error", "-p", "no:asyncio", *options)
    finished.assert_outcomes(**outcome or {"errors": 1})
    assert "arning" not in finished.stdout.str() + finished.stderr.str()


def test_a_cassette_that_is_none_is_told_in_one_line(pytester, run):
    module = pytester.makepyfile("def test_it(cassette): pass")
    folder = module.parent / "cassettes" / module.stem
    folder.mkdir(parents=True)
    (folder / "test_it.jsonl").write_text("hello\n", encoding="utf-8")
    finished = run()
    finished.assert_outcomes(passed=1, errors=1)
    finished.stdout.fnmatch_lines(["*test_it.jsonl is no cassette that this nbagents reads: *"])
    assert "Traceback" not in finished.stdout.str()
    assert "_cassettes.py" not in finished.stdout.str()


def test_where_nothing_is_missing_recording_says_so(pytester, run):
    pytester.makepyfile("def test_it(cassette): pass")
    finished = run("--nbagents-record")
    finished.assert_outcomes(passed=1)
    finished.stdout.fnmatch_lines(["Nothing was missing: nothing is recorded, *"])


def test_this_suite_itself_makes_no_request_beyond_this_computer():
    assert os.environ["NBAGENTS_REQUESTS"] == "loopback"
