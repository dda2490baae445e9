"""What the test's server delivers besides metadata: the certificates of issuers, the keys that sign tokens."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import unquote

from pytest_imds import data
from pytest_imds.trust.errors import AttestationHostError, AttestationIntermediateError


@dataclass(frozen=True)
class Delivery:
    """What a URL outside ``/metadata`` answers.

    Attributes:
        body: makes it when it is asked for.
        status: the HTTP status.
        content_type: the Content-Type.
        location: where a redirect leads.
        silent_after: how many bytes of the body are sent before nothing more comes; with 0 not
            even the head is sent. None is all of them.
        sender: who answers, by its name in ``fixtures_data/senders.json``.
    """

    body: Callable[[], bytes]
    status: int = 200
    content_type: str = data.read("attested")["issuer-certificates"]["content_type"]
    location: str = ""
    silent_after: int | None = None
    sender: str = "issuer-certificates"


class Deliveries:
    """Certificates, by the paths of their URLs.

    Args:
        hosts: returns what the URLs of good documents begin with.
    """

    def __init__(self, hosts: Callable[[], Sequence[str]]) -> None:
        self.hosts = hosts
        self._by_path: dict[str, Delivery] = {}

    def at(self, path: str) -> Delivery | None:
        """Return what is delivered at ``path``."""
        return self._by_path.get(path)

    def put(self, path: str, delivery: Delivery | None) -> None:
        """Deliver something at ``path``, or nothing more."""
        if delivery:
            self._by_path[path] = delivery
        else:
            self._by_path.pop(path, None)

    def fetch(self, url: str) -> bytes:
        """Return what a client would download; nothing is sent.

        Raises:
            AttestationHostError: the client would be redirected.
            AttestationIntermediateError: there is no certificate.
        """
        base = next((base for base in self.hosts() if url.startswith(f"{base}/")), "")
        delivery = self.at(unquote(url.removeprefix(base))) if base else None
        if delivery is None or delivery.silent_after is not None:
            raise AttestationIntermediateError.found(f"no answer from {url}", "a certificate")
        if delivery.location:
            raise AttestationHostError.found(f"a redirect to {delivery.location}", "no redirect")
        if delivery.status != HTTPStatus.OK:
            raise AttestationIntermediateError.found(f"{delivery.status} at {url}", "a certificate")
        return delivery.body()
