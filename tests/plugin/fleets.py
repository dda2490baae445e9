"""Tests of users that make servers: the client that they share, and how they are run."""

from __future__ import annotations

import pytest

from tests.plugin.conftest import Run

CLIENT = """
    import http.client
    import json
    import threading
    from contextlib import closing

    import pytest
    from pytest_imds import ImdsServer, ImdsUsageError

    VM_ID = "/metadata/instance/compute/vmId?api-version=2021-02-01&format=text"
    EVENTS = "/metadata/scheduledevents?api-version=2020-07-01"

    def get(server, target=VM_ID):
        with closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=5)) as connection:
            connection.request("GET", target, headers={"Metadata": "true"})
            reply = connection.getresponse()
            return reply.status, reply.read().decode()

    def request_id(server):
        with closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=5)) as connection:
            connection.request("GET", VM_ID, headers={"Metadata": "true"})
            return connection.getresponse().headers["x-ms-request-id"]

    def claims(server):
        from base64 import urlsafe_b64decode
        reply = get(server, "/metadata/identity/oauth2/token?api-version=2018-02-01&resource=a")[1]
        return json.loads(urlsafe_b64decode(json.loads(reply)["access_token"].split(".")[1] + "=="))
"""


def write(pytester: pytest.Pytester, *sources: str) -> None:
    """Write a file of tests that share the client."""
    pytester.makepyfile(test_it="\n".join([CLIENT, *sources]))


def passes(pytester: pytest.Pytester, run: Run, source: str, *, count: int = 1, ini: tuple[str, ...] = ()) -> None:
    write(pytester, source)
    run(ini=ini).assert_outcomes(passed=count)
