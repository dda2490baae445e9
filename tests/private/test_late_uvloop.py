"""Clients on a uvloop that the test itself is the first to load are led to the server."""

from __future__ import annotations

import sys

from pytest_imds import ImdsServer, Vm
from tests.private.addresses import METADATA, NAME
from tests.private.asking import with_create_connection, with_httpx


def test_a_uvloop_that_is_loaded_while_the_test_runs_leads_to_the_server(
    imds_redirect: ImdsServer, imds_vm: Vm
) -> None:
    assert "uvloop" not in sys.modules
    import uvloop

    # These two connect in C.
    assert uvloop.run(with_create_connection(NAME, METADATA)).decode() == imds_vm.name
    assert uvloop.run(with_httpx(NAME, METADATA)).decode() == imds_vm.name


def test_it_leads_there_in_the_next_test_too(imds_redirect: ImdsServer, imds_vm: Vm) -> None:
    import uvloop

    assert uvloop.run(with_create_connection(NAME, METADATA)).decode() == imds_vm.name
