"""An agent that has the address of IMDS built in, tested as it is. The client is urllib."""

from __future__ import annotations

import json
from typing import Any
from urllib.error import HTTPError
from urllib.request import ProxyHandler, Request, build_opener

import pytest

from pytest_imds import ServerFactory, Vm

IMDS = "http://169.254.169.254/metadata/instance?api-version=2021-02-01"


def cluster() -> str:
    """Return the cluster that this VM says it belongs to, or its resource group."""
    opener = build_opener(ProxyHandler({}))  # a proxy of the environment must not see this request
    with opener.open(Request(IMDS, headers={"Metadata": "true"}), timeout=5) as reply:
        compute: dict[str, Any] = json.load(reply)["compute"]
    tags: dict[str, str] = {tag["name"]: tag["value"] for tag in compute["tagsList"]}
    return tags.get("cluster", str(compute["resourceGroupName"]))


@pytest.mark.usefixtures("imds_redirect")
@pytest.mark.imds_vm(tags={"cluster": "blue"})
def test_the_tag_names_the_cluster() -> None:
    # Catches an agent that reads the tag of another VM, such as the one that runs its tests.
    assert cluster() == "blue"


@pytest.mark.imds(redirect=True)
def test_without_the_tag_it_is_the_resource_group(imds_vm: Vm) -> None:
    # Catches an agent that expects every VM to have the tag.
    assert cluster() == imds_vm.resource_group_name


@pytest.mark.imds(redirect=True)
@pytest.mark.imds_fault("throttled", requests=1)
def test_an_outage_is_met_at_the_address_too() -> None:
    # Catches an agent that takes an error for "no such tag", and joins the wrong cluster.
    with pytest.raises(HTTPError, match="429"):
        cluster()


def test_a_server_of_the_test_s_choice_answers_for_a_while(make_imds_server: ServerFactory) -> None:
    # Catches an agent that remembers the first VM that it has seen.
    seen = []
    for name in ("blue", "green"):
        with make_imds_server(tags={"cluster": name}).redirected():
            seen.append(cluster())
    assert seen == ["blue", "green"]
