"""Why no request may have arrived, as far as looking tells."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from urllib.request import proxy_bypass_environment  # type: ignore[attr-defined]  # typeshed lacks it

from pytest_imds import interceptors
from pytest_imds.network import addresses

PROXIES = ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY")


def reasons(url: str, redirected: bool, environ: Mapping[str, str], test: object) -> Iterator[str]:
    """Yield what may have kept requests from a server.

    Args:
        url: where the server is.
        redirected: whether clients of this process are led to it from the addresses of Azure's host.
        environ: the environment that clients see.
        test: the function of the test.
    """
    yield from interceptors.active(test)
    host = addresses.hosts()[0] if redirected else url.removeprefix("http://")
    yield from _proxies(host, url, environ)
    if not redirected:
        yield (
            f"nothing leads clients here that ask {addresses.hosts()[0]}: the server is at {url} alone."
            " For clients of this process: @pytest.mark.imds(redirect=True); for other programs: imds_server.run()"
        )
    else:
        yield (
            f"clients of this process that connect to {addresses.hosts()[0]} by Python's sockets are led here; those"
            " that connect in C, Rust or Go are not, nor are other programs: imds_server.run() starts them"
        )


def _proxies(host: str, url: str, environ: Mapping[str, str]) -> Iterator[str]:
    spared = environ.get("no_proxy", environ.get("NO_PROXY", ""))
    if proxy_bypass_environment(host, {"no": spared}):
        return
    for name in PROXIES:
        proxy = environ.get(name)
        if proxy and proxy != url:  # what the audit names leads here
            yield f"{name} is {proxy}, and NO_PROXY does not name {host}. Add it there, or call imds_server.env()"
