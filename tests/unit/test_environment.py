"""The environment in which clients find the server of a test, and no other."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from pytest_imds import data
from pytest_imds.network.environment import NO_PROXY, of_client

URL = "http://127.0.0.1:8080"
HOSTS = "169.254.169.254,168.63.129.16,127.0.0.1,localhost"
ROWS: Mapping[str, Mapping[str, str]] = data.read("environment")
SET = {name: row["value"].replace("{url}", URL) for name, row in ROWS.items() if "value" in row}
MISLEADING = [name for name in ROWS if name not in (*SET, *NO_PROXY)]


def test_sdks_are_told_where_the_server_is() -> None:
    assert {
        "AZURE_POD_IDENTITY_AUTHORITY_HOST": URL,
        "ARM_MSI_ENDPOINT": f"{URL}/metadata/identity/oauth2/token",
    } == SET
    assert of_client({}, URL) == {**SET, "NO_PROXY": HOSTS, "no_proxy": HOSTS}


def test_an_older_address_is_replaced() -> None:
    assert of_client(dict.fromkeys(SET, "http://elsewhere"), URL).items() >= SET.items()


@pytest.mark.parametrize("name", MISLEADING)
def test_what_leads_elsewhere_is_taken_out(name: str) -> None:
    assert name not in of_client({name: "http://elsewhere"}, URL)


def test_where_imds_is_at_its_own_address_no_variable_leads_elsewhere() -> None:
    environ = dict.fromkeys((*SET, *MISLEADING), "http://127.0.0.1:8080")
    assert of_client(environ, None).keys() == {*NO_PROXY}


def test_all_else_stays_as_it_is() -> None:
    others = {"PATH": "/bin", "HTTP_PROXY": "http://proxy", "AZURE_CLIENT_ID": "1", "IDENTITY": "", "NO_PROXY": "*"}
    assert of_client(others, URL).items() >= others.items()


def test_the_environment_that_is_given_is_not_changed() -> None:
    environ = {"MSI_ENDPOINT": "there", "NO_PROXY": "a"}
    of_client(environ, URL)
    assert environ == {"MSI_ENDPOINT": "there", "NO_PROXY": "a"}


@pytest.mark.parametrize(
    ("now", "then"),
    [
        ({}, (HOSTS, HOSTS)),
        ({"NO_PROXY": "", "no_proxy": ""}, (HOSTS, HOSTS)),
        ({"NO_PROXY": "internal"}, (f"internal,{HOSTS}", f"internal,{HOSTS}")),
        ({"no_proxy": "internal"}, (f"internal,{HOSTS}", f"internal,{HOSTS}")),
        ({"NO_PROXY": "a", "no_proxy": "b"}, (f"a,{HOSTS}", f"b,{HOSTS}")),
        ({"NO_PROXY": " a , localhost,"}, ("a,localhost,169.254.169.254,168.63.129.16,127.0.0.1",) * 2),
        ({"NO_PROXY": "*", "no_proxy": "a"}, ("*", f"a,{HOSTS}")),
        ({"NO_PROXY": HOSTS}, (HOSTS, HOSTS)),
    ],
)
def test_no_proxy_stands_between_a_client_and_the_server(now: Mapping[str, str], then: tuple[str, str]) -> None:
    environ = of_client(now, None)
    assert (environ["NO_PROXY"], environ["no_proxy"]) == then


def test_hosts_that_lead_to_the_server_need_no_proxy_either() -> None:
    assert of_client({}, None, ["www.microsoft.com"])["no_proxy"] == f"{HOSTS},www.microsoft.com"


def test_an_environment_that_is_made_twice_is_the_same() -> None:
    once = of_client({"NO_PROXY": "a"}, URL)
    assert of_client(once, URL) == once
