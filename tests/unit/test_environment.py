"""The environment in which clients find the server of a test, and no other."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from pytest_imds import data
from pytest_imds.network.environment import NO_PROXY, of_client, with_trap
from tests.every import every

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


PROXY = "http://127.0.0.1:9"


def test_a_trap_is_a_proxy_for_all_hosts() -> None:
    assert with_trap({"A": "b"}, PROXY) == {"A": "b", "HTTP_PROXY": PROXY, "http_proxy": PROXY}


@every(
    ("now", "then"),
    [
        ("", ""),
        (HOSTS, ""),
        ("*", ""),
        ("internal, 169.254.169.254 ,.corp", "internal,.corp"),
        ("169.254.169.254:80,168.63.129.16:8080,LOCALHOST,a:80", "a:80"),
        ("169.254.0.0/16,127.0.0.0/8,10.0.0.0/8,fd00::/8", "10.0.0.0/8,fd00::/8"),
        ("www.microsoft.com", "www.microsoft.com"),
    ],
)
def test_what_is_to_be_reached_without_a_proxy_is_to_be_reached_through_the_trap(now: str, then: str) -> None:
    trapped = with_trap({"NO_PROXY": now, "no_proxy": f"b,{now}"}, PROXY)

    assert (trapped["NO_PROXY"], trapped["no_proxy"]) == (then, f"b,{then}".rstrip(","))


def test_a_client_finds_the_server_and_the_trap() -> None:
    found = of_client({"NO_PROXY": "internal", "HTTP_PROXY": "http://proxy"}, URL, ["www.microsoft.com"], PROXY)

    assert {found[name] for name in NO_PROXY} == {"internal,www.microsoft.com"}
    assert (found["HTTP_PROXY"], found["http_proxy"]) == (PROXY, PROXY)
    assert found["AZURE_POD_IDENTITY_AUTHORITY_HOST"] == URL
    assert of_client(found, URL, ["www.microsoft.com"], PROXY) == found
    for none in ({"no_proxy": "*"}, {}):
        assert of_client(none, URL, ["www.microsoft.com"], PROXY)["no_proxy"] == "www.microsoft.com"


def test_where_the_server_is_at_the_real_address_the_machine_itself_is_reached_without_the_trap() -> None:
    found = of_client({"no_proxy": "*"}, None, trap=PROXY)

    assert (found["NO_PROXY"], found["HTTP_PROXY"]) == ("127.0.0.1,localhost", PROXY)
    assert of_client({}, None, trap=PROXY)["no_proxy"] == "127.0.0.1,localhost"


def test_the_order_of_the_trap_and_the_rest_does_not_matter() -> None:
    for environ in ({}, {"NO_PROXY": "*"}, {"no_proxy": "a,127.0.0.1", "HTTP_PROXY": "http://proxy"}):
        after = with_trap(of_client(environ, URL), PROXY)
        before = of_client(with_trap(environ, PROXY), URL, trap=PROXY)
        assert after == before == of_client(environ, URL, trap=PROXY)
