"""What a test holds of managed identity: the tokens of a VM, and what Entra publishes about them.

cryptography takes longer to import than most tests run: nothing here imports it
before a token or the key set is asked for.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import astuple
from random import Random
from typing import TYPE_CHECKING, Any, NamedTuple

from pytest_imds import data
from pytest_imds.clock import Clock
from pytest_imds.errors import ImdsUsageError
from pytest_imds.trust.deliveries import Delivery
from pytest_imds.trust.setting import issuer
from pytest_imds.vm.identity import Identity
from pytest_imds.vm.model import Vm

if TYPE_CHECKING:
    from pytest_imds.trust.authority import Authority

JSON = "application/json; charset=utf-8"


class Issued(NamedTuple):
    """A token, and when it was issued, in seconds since the epoch."""

    token: str
    at: int


class TokenIssuer:
    """Issues the tokens of a VM's managed identities, and publishes what they are verified with.

    Args:
        vm: the VM.
        clock: the time of the service.
        random: what makes the opaque claims of tokens.
        authority: returns who signs.
        address: returns how URLs on the test's server begin.
    """

    def __init__(
        self,
        vm: Vm,
        clock: Clock,
        random: Random,
        authority: Callable[[], Authority],
        address: Callable[[bool], str],
    ) -> None:
        self._vm = vm
        self._clock = clock
        self._random = random
        self._authority = authority
        self._address = address
        self._issued: dict[tuple[str, ...], Issued] = {}
        self._after: dict[tuple[tuple[str, ...], Issued | None], Issued] = {}
        self._unknown: set[str] = set()

    @property
    def issuer(self) -> str:
        """The ``iss`` of the tokens, such as ``https://sts.windows.net/<tenant>/``."""
        return issuer(self._vm.cloud, self._vm.tenant_id)

    @property
    def openid_configuration_url(self) -> str:
        """Where the test's server publishes the OpenID discovery document of the tenant."""
        path = data.read("identity")["discovery"]["configuration"]
        return f"{self._address(False)}/{self._vm.tenant_id}/{path}"

    @property
    def jwks_url(self) -> str:
        """Where the test's server publishes the key set that tokens are verified with."""
        return f"{self._address(False)}/common/{data.read('identity')['discovery']['keys'][0]}"

    @property
    def jwks(self) -> dict[str, list[dict[str, Any]]]:
        """The key set of RFC 7517, ``{"keys": [...]}``, with one public key."""
        from pytest_imds.trust import tokens

        return tokens.key_set(self._authority())

    def unknown_resource(self, *resources: str) -> None:
        """Let the tenant not have these resources: a token for one of them gets AADSTS500011.

        A slash at the end makes no difference.

        Raises:
            ImdsUsageError: one of them is no text, or empty.
        """
        given: tuple[Any, ...] = resources
        for resource in given:
            if not isinstance(resource, str) or not resource:
                raise ImdsUsageError.wrong_value(
                    "unknown_resource()", resource, "what clients ask for, such as https://vault.azure.net"
                )
        self._unknown |= {resource.rstrip("/") for resource in resources}

    def knows(self, resource: str) -> bool:
        """Return whether the tenant has ``resource``."""
        return resource.rstrip("/") not in self._unknown

    def answer(self, identity: Identity, resource: str, *, bypass_cache: bool = False) -> dict[str, str]:
        """Return what ``/metadata/identity/oauth2/token`` answers to a request that is in order.

        Source: ``reply``, ``lifetime``, ``ext-expires-in`` and ``cache`` in ``fixtures_data/identity.json``.
        """
        known = data.read("identity")
        valid_s, now = known["lifetime"]["valid_s"], int(self._clock.time())
        # All that a token says: what a test assigns shows at once.
        of = (self.issuer, self._vm.resource_id, *astuple(identity), resource)
        issued = self._issued.get(of)
        if issued is None or bypass_cache or now >= issued.at + valid_s:
            made = Issued(self._token(identity, resource, now), now)
            # Of requests that come at once, the first makes what all of them get.
            issued = self._issued[of] = made if bypass_cache else self._after.setdefault((of, issued), made)
        return {
            "access_token": issued.token,
            "client_id": identity.client_id,
            "expires_in": str(issued.at + valid_s - now),
            "expires_on": str(issued.at + valid_s),
            "ext_expires_in": known["ext-expires-in"]["value"],
            "not_before": str(issued.at - known["lifetime"]["before_s"]),
            "resource": resource,
            "token_type": "Bearer",
        }

    def published(self, path: str) -> Delivery | None:
        """Return what Entra publishes at ``path``: the discovery document, the key set, or None.

        Source: ``discovery`` in ``fixtures_data/identity.json``.
        """
        tenant, _, rest = path.strip("/").partition("/")
        known = data.read("identity")["discovery"]
        if tenant not in ("common", self._vm.tenant_id):
            return None
        if rest == known["configuration"]:
            return Delivery(self._configuration, content_type=JSON, sender="entra")
        if rest in known["keys"]:
            return Delivery(lambda: json.dumps(self.jwks).encode(), content_type=JSON, sender="entra")
        return None

    def _configuration(self) -> bytes:
        base = f"{self._address(False)}/{self._vm.tenant_id}"
        endpoints = {
            "token_endpoint": f"{base}/oauth2/token",
            "jwks_uri": self.jwks_url,
            "issuer": self.issuer,
            "authorization_endpoint": f"{base}/oauth2/authorize",
        }
        return json.dumps({**endpoints, **data.read("identity")["discovery"]["document"]}).encode()

    def _token(self, identity: Identity, resource: str, now: int) -> str:
        from pytest_imds.trust import tokens

        return tokens.signed(tokens.claims(self._vm, identity, resource, now, self._random), self._authority())
