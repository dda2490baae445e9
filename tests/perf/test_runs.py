"""What whole test runs cost: the plugin that nobody uses, a test's own VM, ten thousand tests."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import Budget

# Times what loading each plugin costs, in a process of its own that has loaded pytest.
LOADING = """
import json, time, sys
import pytest
def loading(*names):
    start = time.perf_counter()
    for name in names:
        __import__(name)
    return time.perf_counter() - start
theirs = loading("pytest_httpserver.pytest_plugin", "faker.contrib.pytest.plugin")
ours = loading("pytest_imds.plugin")
print(json.dumps([theirs, ours]))
"""

# Notes how long each test takes and how much memory the process has when it ends.
CONFTEST = """
import json, time
import pytest

taken, memory = [], []

@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item, nextitem):
    start = time.perf_counter()
    done = yield
    taken.append(time.perf_counter() - start)
    if len(taken) % 500 == 0:
        with open("/proc/self/statm") as statm:
            memory.append(int(statm.read().split()[1]))
    return done

def pytest_collection_modifyitems(items):
    # The kinds of tests in turn, so that all of them see the same machine.
    items.sort(key=lambda item: (item.callspec.params["number"], item.originalname))

def pytest_sessionfinish():
    with open("taken.json", "w") as file:
        json.dump({"taken": taken, "memory": memory}, file)
"""


def run(pytester: pytest.Pytester, tests: str) -> dict[str, list[float]]:
    pytester.makeconftest(CONFTEST)
    pytester.makepyfile(tests)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:randomly", "-p", "no:xdist"],
        cwd=pytester.path,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    measured: dict[str, list[float]] = json.loads(Path(pytester.path, "taken.json").read_text())
    return measured


def test_the_plugin_that_nobody_uses(budget: Budget) -> None:
    # Modules are loaded as users have them: compiled.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}

    def measure() -> float:
        both = [
            json.loads(
                subprocess.run(
                    [sys.executable, "-c", LOADING],
                    capture_output=True,
                    text=True,
                    check=True,
                    env=environment,
                    timeout=60,
                ).stdout
            )
            for _ in range(7)
        ]
        theirs, ours = (statistics.median(times) for times in zip(*both, strict=True))
        return float((theirs + ours) / theirs)

    # 3 ms of the 190 ms that pytest-httpserver and Faker take.
    budget("1 plugin loaded, unused, beside pytest-httpserver and Faker / these alone", 1.016, measure)


def test_a_vm_of_its_own_for_a_test(budget: Budget, pytester: pytest.Pytester) -> None:
    def measure() -> float:
        measured = run(
            pytester,
            """
            import pytest
            @pytest.mark.parametrize("number", range(300))
            def test_empty(number): pass
            @pytest.mark.parametrize("number", range(300))
            def test_vm(number, imds_server, imds_vm): pass
            """,
        )
        return statistics.median(measured["taken"][1::2]) / statistics.median(measured["taken"][0::2])

    # 1 ms more than the 0.3 ms of an empty test.
    budget("2 a test with imds_server and imds_vm, no request / an empty test", 4.3, measure)


def test_ten_thousand_tests(budget: Budget, pytester: pytest.Pytester) -> None:
    measured: dict[str, list[float]] = {}

    def measure() -> float:
        measured.update(
            run(
                pytester,
                """
                import pytest, urllib.request
                @pytest.mark.parametrize("number", range(10_000))
                def test_vm(imds_server, number):
                    url = f"{imds_server.url}/metadata/instance?api-version=2021-02-01"
                    asked = urllib.request.Request(url, headers={"Metadata": "true"})
                    with urllib.request.urlopen(asked, timeout=10) as reply:
                        assert reply.status == 200
                """,
            )
        )
        return statistics.median(measured["taken"][-1000:]) / statistics.median(measured["taken"][500:1500])

    budget("7a 10,000 tests: the time of the last ones / the first ones", 1.15, measure)
    # pytest itself keeps something of every test; ours must add nothing to that.
    without = run(
        pytester,
        """
        import pytest
        @pytest.fixture
        def first(): yield
        @pytest.fixture
        def second(first): yield
        @pytest.mark.parametrize("number", range(10_000))
        def test_plain(second, number): pass
        """,
    )

    runs = [measured["memory"]]

    def growth(run_memory: list[float]) -> float:
        return run_memory[-1] - run_memory[1]

    def grown() -> float:
        if not runs:
            measure()  # the first run did for both; if it was a noisy one, another is needed
            runs.append(measured["memory"])
        memory = runs.pop()
        return (memory[1] + growth(memory) - growth(without["memory"])) / memory[1]

    budget(
        "7b 10,000 tests: memory grown / memory at their start, beyond what tests with plain fixtures grow",
        1.05,
        grown,
    )
