"""What ``--set``, ``--fault`` and ``--seed`` say."""

from __future__ import annotations

import pytest

from pytest_imds.command import servers, values
from pytest_imds.command.parser import parse
from pytest_imds.server import ImdsServer

SETTINGS = {
    "location=westeurope": "westeurope",
    'tags={"env": "prod"}': {"env": "prod"},
    "data_disks=3": 3,
    "ipv6=true": True,
    "zone=1": 1,
    "zone=": "",
    "scale_set=true": True,
    "scale_set=web": "web",
    "identity=null": None,
    "name=123": "123",
    'name="123"': "123",
    "name=null": "null",
    "user_data=a=b": "a=b",
}


@pytest.mark.parametrize(("assignment", "value"), SETTINGS.items(), ids=SETTINGS)
def test_a_value_is_json_where_the_knob_takes_it_and_else_text(assignment: str, value: object) -> None:
    name = assignment.partition("=")[0]

    assert values.settings([assignment], values.knobs()) == {name: value}


def test_of_two_values_the_last_counts() -> None:
    assert values.settings(["nics=1", "nics=2"], values.knobs()) == {"nics": 2}


FAULTS = {
    "blackhole": "blackhole()",
    "gone:window=70": "gone(window=70)",
    "latency:seconds=0.5,times=2,path=/metadata/id*": "latency(seconds=0.5, times=2, path='/metadata/id*')",
    "gone:required=false": "gone(required=False)",
    'wrong_content:body={"a": 1, "b": 2},content_type=text/json': (
        "wrong_content(body='{\"a\": 1, \"b\": 2}', content_type='text/json')"
    ),
    "wrong_content:body=a, b=c": "wrong_content(body='a, b=c')",
    "wrong_content:body=": "wrong_content(body='')",
}


@pytest.mark.parametrize(("written", "fault"), FAULTS.items(), ids=FAULTS)
def test_a_fault_is_read_with_its_parameters(written: str, fault: str) -> None:
    assert repr(values.fault(written)) == fault


@pytest.mark.parametrize(("written", "seed"), [("7", 7), ("-7", -7), ("blue", "blue"), ("7.5", "7.5")])
def test_a_seed_is_a_number_or_text(written: str, seed: int | str) -> None:
    assert parse(["vm", f"--seed={written}"]).seed == seed


def server(*arguments: str) -> ImdsServer:
    return servers.made(ImdsServer, parse(["serve", *arguments]))


def test_a_server_gets_its_options_its_knobs_and_its_faults() -> None:
    made = server(
        *("--profile", "windows", "--seed", "7", "--port", "1234", "--rate-limit", "--fault", "gone"),
        *("--fault", "latency:seconds=1", "--set", "aia=dual", "--set", "location=westus"),
        *("--set", "newest=2021-02-01", "--set", "identity_v2=true"),
    )
    host = made._host

    assert (made.vm.profile, made.vm.seed, made.vm.location, made.port) == ("windows", 7, "westus", 1234)
    assert (host.newest, host.identity_v2, host.limits is not None) == ("2021-02-01", True, True)
    assert made.attestation.aia == "dual"
    assert made.faults.idle() == ["gone(window=70)", "latency(seconds=1, jitter=0)"]


def test_the_number_that_names_a_chain_is_text() -> None:
    assert server("--set", "chain=2024").attestation.aia == "loopback"
    assert server("--set", "chain=2026").attestation.aia == "dual"


def test_a_server_has_no_limits_unless_they_are_asked_for() -> None:
    assert server()._host.limits is None
    assert server("--set", "rate_limit=true")._host.limits is not None
