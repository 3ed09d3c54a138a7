"""guance-chatgpt-monitor run: monitors programs without a change to their code."""

import os
import signal
import sys
from pathlib import Path

import pytest
from monitored import monitor_environment
from preloaded import preloaded, with_sdk

import guance_chatgpt_monitor
from guance_chatgpt_monitor.app.run import monitored_environment
from guance_chatgpt_monitor.cli.main import main

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parent.parent.parent
pytest_plugins = ["monitored_fixtures"]

CALL = """
import os
import openai
client = openai.OpenAI(api_key="sk-local", base_url=os.environ["API_URL"], max_retries=0)
print(client.chat.completions.create(model="gpt-4o-mini", messages=[{"role": "user", "content": "q"}]).model)
"""
IMPORTS = "from guance_chatgpt_monitor.app.run import run"
RUN = f"import sys; {IMPORTS}; sys.exit(run(sys.argv[1:]))"
AUTOSTART = str(Path(guance_chatgpt_monitor.__file__).parent / "app" / "autostart" / "sitecustomize.py")
# What a Python that `run` starts does first; but openai is imported from parts that are there already, since
# these alone take a second.
STARTED = f"""
import runpy, sys
for name in [name for name in sys.modules if name == "openai" or name.startswith("openai.lib")]:
    del sys.modules[name]
runpy.run_path({AUTOSTART!r})
"""


@pytest.fixture
def run(api, datakit, tmp_path):
    """Runs a command, by default expecting no errors, in a folder where `app.py` makes a call."""
    (tmp_path / "app.py").write_text(CALL)

    def run(*command, code=0, errors="", **environment):
        variables = monitor_environment(datakit, API_URL=api.server.base_url)
        variables.update(environment)
        done = preloaded(IMPORTS).run(RUN, variables, tmp_path, command)
        assert errors in done.stderr if errors else done.stderr == ""
        assert done.returncode == code
        return done.stdout

    return run


@pytest.fixture
def run_started(api, datakit, tmp_path):
    """Executes code as a Python that `run` has started, expecting no errors."""
    (tmp_path / "app.py").write_text(CALL)

    def run_started(code, **environment):
        variables = monitor_environment(datakit, API_URL=api.server.base_url, **environment)
        done = with_sdk().run(STARTED + code, monitored_environment(variables), tmp_path)
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout

    return run_started


def test_a_script_is_monitored(run, datakit):
    assert run(sys.executable, "app.py", CHATGPT_MONITOR_TAGS="team=web") == "gpt-4o-mini-2024-07-18\n"
    (found,) = datakit.points("openai")
    assert (found.tags["service_name"], found.tags["team"]) == ("app", "web")
    assert found.fields["create_time"] == 1


def test_a_module_and_the_console_script_it_starts_are_monitored(run, datakit, tmp_path):
    script = tmp_path / "ask"
    script.write_text(f"#!{sys.executable}\n{CALL}")
    script.chmod(0o755)
    (tmp_path / "parent.py").write_text(
        "import subprocess\nsubprocess.run(['./ask'], check=True)\nimport app\n"
    )
    run(sys.executable, "-m", "parent")
    assert [found.tags["service_name"] for found in datakit.points("openai")] == ["ask", "parent"]


def test_multiprocessing_workers_are_monitored(run_started, datakit):
    run_started(
        "import multiprocessing\n"
        "def work(_):\n"
        "    import app\n"
        "process = multiprocessing.get_context('fork').Process(target=work, args=(1,))\n"
        "process.start()\n"
        "process.join()\n"
    )
    assert len(datakit.points("openai")) == 1


@pytest.mark.parametrize(("enabled", "n_points"), [("true", 1), ("false", 0)])
def test_nothing_is_monitored_when_disabled(run_started, datakit, enabled, n_points):
    assert run_started(CALL, CHATGPT_MONITOR_ENABLED=enabled) == "gpt-4o-mini-2024-07-18\n"
    assert len(datakit.points("openai")) == n_points


# ---- the program is unchanged ----


def test_arguments_output_and_exit_code_are_passed_through(run):
    code = "import sys; print(sys.argv[1:]); sys.stderr.write('said'); sys.exit(3)"
    assert run(sys.executable, "-c", code, "--flag", "a b", code=3, errors="said") == "['--flag', 'a b']\n"


def test_our_folder_is_not_on_the_programs_path(run):
    code = "import sys; print([folder for folder in sys.path if 'autostart' in folder])"
    assert run(sys.executable, "-c", code) == "[]\n"


def test_a_program_without_openai_imports_nothing_of_ours(run):
    code = "import sys; print([name for name in sys.modules if name.startswith(('openai', 'guance'))])"
    assert run(sys.executable, "-c", code) == "[]\n"


def test_the_programs_own_sitecustomize_is_imported(run, tmp_path):
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "sitecustomize.py").write_text("import builtins\nbuiltins.customized = __file__\n")
    path = os.pathsep.join([str(tmp_path / "own"), str(ROOT)])
    code = "import sys, sitecustomize; print(customized == sitecustomize.__file__)"
    assert run(sys.executable, "-c", code, PYTHONPATH=path) == "True\n"


def test_a_failing_sitecustomize_is_reported_as_usual(run, tmp_path):
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "sitecustomize.py").write_text("raise RuntimeError('broken')\n")
    path = os.pathsep.join([str(tmp_path / "own"), str(ROOT)])
    assert run(sys.executable, "-c", "print(1)", PYTHONPATH=path, errors="RuntimeError: broken") == "1\n"


def test_the_programs_pythonpath_is_kept(run, tmp_path):
    (tmp_path / "localmod.py").write_text("")
    tool = tmp_path / "bin" / "tool.py"
    tool.parent.mkdir()
    tool.write_text("import localmod; print('found')")
    # An empty entry means the current folder.
    assert run(sys.executable, str(tool), PYTHONPATH=f"{os.pathsep}{ROOT}") == "found\n"


def test_two_dashes_may_precede_the_program(run):
    assert run("--", sys.executable, "-c", "print(1)") == "1\n"


def test_a_nested_run_command_adds_nothing(run):
    code = "import os; print(os.environ['PYTHONPATH'].count('autostart'))"
    assert run(sys.executable, "-c", RUN, sys.executable, "-c", code) == "1\n"


def test_signals_reach_the_program(api, datakit, tmp_path):
    waiting = (
        "import signal, sys; signal.signal(signal.SIGTERM, lambda *_: sys.exit(7)); print('up', flush=True)"
    )
    command = [sys.executable, "-c", waiting + "; signal.pause()"]
    process = preloaded(IMPORTS).start(RUN, monitor_environment(datakit), tmp_path, command)
    assert process.stdout.readline() == "up\n"
    process.send_signal(signal.SIGTERM)
    assert process.communicate().returncode == 7


# ---- beside other monitors ----


HOOK = "import wrapt; wrapt.register_post_import_hook(lambda module: print('theirs'), 'openai')\n"
AGAIN = f"runpy.run_path({AUTOSTART!r})\n"


@pytest.mark.parametrize("order", [HOOK, HOOK + AGAIN, AGAIN + HOOK, AGAIN + HOOK + AGAIN])
def test_import_hooks_of_other_monitors_work_beside_ours(order, run_started, datakit):
    """With wrapt, which ddtrace and others use: its loader wraps ours, or ours wraps it."""
    pytest.importorskip("wrapt")
    source = "import inspect; print('__all__' in inspect.getsource(openai), openai.__loader__.name)\n"
    printed = run_started(order + CALL + source).split()
    assert printed == ["theirs", "gpt-4o-mini-2024-07-18", "True", "openai"]
    assert len(datakit.points("openai")) == 1


def test_the_error_of_another_finder_is_passed_through(run, datakit, tmp_path):
    code = """
import sys
class Failing:
    def find_spec(self, name, path=None, target=None):
        raise OSError("theirs")
sys.meta_path.insert(1, Failing())
try:
    import openai
except OSError as error:
    print(error)
"""
    (tmp_path / "failing.py").write_text(code)
    assert run(sys.executable, "failing.py") == "theirs\n"


# ---- where it cannot monitor ----


def test_without_openai_the_import_fails_as_usual(run, tmp_path):
    code = "import importlib.util; print(importlib.util.find_spec('openai'))\nimport openai"
    run(sys.executable, "-S", "-c", code, code=1, errors="No module named 'openai'")
    (tmp_path / "hide").mkdir()
    (tmp_path / "hide" / "openai.py").write_text("raise ImportError('hidden')")
    path = os.pathsep.join([str(tmp_path / "hide"), str(ROOT)])
    code = "try:\n    import openai\nexcept ImportError as error:\n    print(error)"
    assert run(sys.executable, "-c", code, PYTHONPATH=path) == "hidden\n"


def test_without_this_project_the_program_runs_with_a_warning(run, tmp_path):
    (tmp_path / "openai.py").write_text("print('imported')")  # in place of the SDK: it is left alone
    errors = "guance-chatgpt-monitor: not monitored: ModuleNotFoundError"
    hide = "import sys; sys.modules['guance_chatgpt_monitor'] = None; import openai"
    assert run(sys.executable, "-c", hide, errors=errors) == "imported\n"


def test_another_package_named_openai_causes_a_warning(run, tmp_path):
    (tmp_path / "openai.py").write_text("OpenAI = AsyncOpenAI = None\n")
    code = "import openai; print(openai.OpenAI)"
    assert run(sys.executable, "-c", code, errors="a call may be missing") == "None\n"


def test_a_program_that_cannot_be_monitored_causes_a_warning(run, tmp_path):
    launcher = tmp_path / "opentelemetry-instrument"
    launcher.write_text(f"#!{sys.executable}\nprint(1)")
    launcher.chmod(0o755)
    assert run(str(launcher), errors="not monitored: opentelemetry-instrument") == "1\n"


# ---- wrong use ----


FINDERS_OF_OURS = """
import sys
print(sum(getattr(finder, "__module__", "") == "sitecustomize" for finder in sys.meta_path))
"""


def test_with_an_invalid_setting_the_program_starts_unmonitored_with_a_warning(run):
    assert run(sys.executable, "-c", FINDERS_OF_OURS) == "1\n"
    wrong = {"CHATGPT_MONITOR_MAX_QUEUE": "many"}
    errors = "guance-chatgpt-monitor: not monitored: CHATGPT_MONITOR_MAX_QUEUE must be"
    assert run(sys.executable, "-c", FINDERS_OF_OURS, errors=errors, **wrong) == "0\n"


def test_strict_makes_an_invalid_setting_an_error(datakit, monkeypatch, capfd):
    command = ["run", "--strict", sys.executable, "-c", "print(1)"]
    monkeypatch.setenv("CHATGPT_MONITOR_MAX_QUEUE", "many")
    assert main(command) == 1
    said = capfd.readouterr()
    assert said.out == ""
    assert "CHATGPT_MONITOR_MAX_QUEUE" in said.err
    code = "import sys; from guance_chatgpt_monitor.cli.main import main; sys.exit(main(sys.argv[1:]))"
    done = preloaded(IMPORTS).run(code, monitor_environment(datakit), arguments=command)
    assert done == (0, "1\n", "")


def test_a_missing_program_is_an_error(run):
    run(code=1, errors="there is no program to run")
    run("no-such-program", code=127, errors="there is no program no-such-program")
    run("app.py", code=127, errors="try: python app.py")


@pytest.mark.skipif(os.name == "nt", reason="skipped: Windows has no such files")
def test_a_program_that_cannot_be_run_is_an_error(run, tmp_path):
    broken = tmp_path / "broken"
    broken.write_bytes(b"\0\1\2")
    broken.chmod(0o755)
    run(str(broken), code=126, errors="cannot be run")
