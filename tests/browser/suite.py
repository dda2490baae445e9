"""A suite whose run has one of everything that the page shows."""

from __future__ import annotations

CLIENT = '''
import time

import pytest
import requests


def ask(server, path, timeout=5):
    return requests.get(f"{server.url}/metadata/{path}", headers={"Metadata": "true"}, timeout=timeout)


def patient(server, path, wait=10):
    """Ask as Azure's documentation wants it: again after 410 and 429."""
    while (reply := ask(server, path)).status_code in (410, 429):
        time.sleep(wait)
    return reply.json()


INSTANCE = "instance?api-version=2021-02-01"
EVENTS = "scheduledevents?api-version=2020-07-01"
'''

FILES = {
    "test_bootstrap.py": """
def test_reads_its_own_name(imds_server, imds_vm):
    assert ask(imds_server, INSTANCE).json()["compute"]["name"] == imds_vm.name


@pytest.mark.imds_vm("windows", tags={"env": "prod"})
def test_sees_a_tag_change(imds_server, imds_vm):
    seen = ask(imds_server, INSTANCE).json()["compute"]["tags"]
    imds_vm.tags["env"] = "test"
    assert ask(imds_server, INSTANCE).json()["compute"]["tags"] != seen


def test_needs_no_service():
    pass


def test_needs_a_gpu(imds_server):
    if not ask(imds_server, INSTANCE).json()["compute"]["vmSize"].startswith("Standard_N"):
        pytest.skip("this VM has no GPU")
""",
    "test_outages.py": """
@pytest.mark.imds_fault("gone", window=70)
def test_survives_the_servicing_of_its_host(imds_server, imds_vm, imds_clock):
    assert patient(imds_server, INSTANCE)["compute"]["vmId"] == imds_vm.vm_id


@pytest.mark.imds_fault("latency", 3, times=2)
@pytest.mark.imds_fault("throttled", requests=3)
def test_backs_off_and_waits(imds_server, imds_clock):
    patient(imds_server, INSTANCE, wait=2)
    imds_clock.advance(5)
    patient(imds_server, EVENTS)


@pytest.mark.imds_fault("server_error", status=503, times=1)
@pytest.mark.imds_fault("reset", times=1, path="/metadata/versions")
def test_tries_again(imds_server):
    ask(imds_server, INSTANCE)
    with pytest.raises(requests.ConnectionError):
        ask(imds_server, "versions")
    assert ask(imds_server, INSTANCE).ok


@pytest.mark.imds_fault("blackhole", times=1)
def test_gives_up_in_time(imds_server):
    ask(imds_server, INSTANCE, timeout=0.1)


@pytest.mark.xfail(reason="the agent knows no other answer yet")
@pytest.mark.imds_fault("not_found")
def test_waits_for_the_boot(imds_server):
    assert ask(imds_server, INSTANCE).ok
""",
    "test_scale_set.py": """
def test_all_members_see_the_event(make_imds_server):
    servers = make_imds_server("scale-set", count=3)
    servers[0].events.schedule("Freeze")
    for server in servers * 2:
        assert ask(server, EVENTS).json()["Events"]


@pytest.fixture
def drained(imds_server):
    yield
    assert ask(imds_server, "instance?api-version=1999-01-01").ok


def test_leaves_nothing(imds_server, drained):
    assert ask(imds_server, EVENTS).json()["Events"] == []


def test_has_a_token(imds_server):
    path = "identity/oauth2/token?api-version=2018-02-01&resource=https://vault.azure.net"
    assert ask(imds_server, path).json()["token_type"] == "Bearer"
""",
}
ENDS = "1 failed, 9 passed, 1 skipped, 1 xfailed, 1 error in "
