"""The verifier of docs/examples: each of its checks is needed, and is there for the forgeries that name it."""

from __future__ import annotations

import ast
from functools import cache
from io import BytesIO
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
import requests
from requests.adapters import BaseAdapter

from pytest_imds import CHECKS, FORGERIES, Attestation, Document, Vm
from pytest_imds.trust.setting import Setting
from pytest_imds.vm.provider import generate, generator
from tests.hosts import ADDRESSES, attestation

SOURCE = Path(__file__).resolve().parents[2] / "docs" / "examples" / "test_attested.py"
NONCE = "8410293847-attested_example"
# What these two guard is reading: without the guard, what cannot be read is another exception.
READING = ("structure", "intermediate")


class Deliveries(BaseAdapter):
    """Answers what the test's server would, without a socket and without waiting."""

    def __init__(self, attested: Attestation) -> None:
        super().__init__()
        self._attested = attested

    def send(self, request: requests.PreparedRequest, *args: Any, **options: Any) -> requests.Response:
        url = str(request.url)
        delivery = self._attested.deliveries.at(unquote(urlsplit(url).path))
        if delivery is not None and delivery.silent_after is not None:
            raise requests.ReadTimeout(url)
        response = requests.Response()
        response.request, response.url, response.status_code, response.raw = request, url, 404, BytesIO()
        if delivery is not None:
            response.status_code, response.raw = delivery.status, BytesIO(delivery.body())
            response.headers.update({"Location": delivery.location} if delivery.location else {})
        return response

    def close(self) -> None:
        """Nothing is open."""


class Without(ast.NodeTransformer):
    """Takes a check out of a verifier: the statement, or the guard around what is read."""

    def __init__(self, check: str) -> None:
        self.taken_out = 0
        self._check = check

    def visit_Expr(self, node: ast.Expr) -> ast.AST | None:
        return None if self._is_check("require", node.value) else self.generic_visit(node)

    def visit_With(self, node: ast.With) -> ast.AST | list[ast.stmt] | None:
        self.generic_visit(node)
        if not self._is_check("refused", node.items[0].context_expr):
            return node
        return node.body if self._check in READING else None

    def _is_check(self, function: str, node: ast.expr) -> bool:
        match node:
            case ast.Call(func=ast.Name(id=name), args=[ast.Constant(value=value), *_]):
                found = (name, value) == (function, self._check)
                self.taken_out += found
                return found
        return False


@cache
def verifier(without: str | None = None) -> ModuleType:
    tree = ast.parse(SOURCE.read_text(encoding="utf-8"))
    if without is not None:
        transformer = Without(without)
        tree = transformer.visit(tree)
        assert transformer.taken_out == 1
    module = ModuleType("verifier")
    exec(compile(tree, str(SOURCE), "exec", dont_inherit=True), module.__dict__)
    return module


@pytest.fixture(scope="module")
def vm() -> Vm:
    return generate(generator(), "linux", "attested-example", {})


@pytest.fixture(scope="module", params=["2024", "2026"])
def attested(vm: Vm, request: pytest.FixtureRequest) -> Attestation:
    return attestation(vm, Setting(request.param))


@pytest.fixture(scope="module")
def expected(vm: Vm, attested: Attestation) -> dict[str, Any]:
    return {
        "nonce": NONCE,
        "vm": {"vmId": vm.vm_id, "subscriptionId": vm.subscription_id, "licenseType": vm.license_type},
        "root_pem": attested.root_pem,
        "domain": "metadata.azure.com",
        "aia": ADDRESSES[False],
    }


@pytest.fixture(scope="module")
def forged(attested: Attestation) -> dict[str, Document]:
    return {name: attested.forge(name, nonce=NONCE) for name in FORGERIES}


@pytest.fixture(autouse=True)
def delivered(attested: Attestation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requests.Session, "get_adapter", lambda session, url: Deliveries(attested))


def outcome(module: ModuleType, reply: Document, expected: dict[str, Any]) -> str:
    """Return the check that refuses a document, "crashed", or "trusted"."""
    try:
        module.verify(reply, **expected)
    except module.Untrusted as untrusted:
        return str(untrusted).partition(":")[0]
    except Exception:  # noqa: BLE001 - which one is the verifier's own affair
        return "crashed"
    return "trusted"


@pytest.mark.parametrize("attested", ["2024"], indirect=True)  # the other chain would take as long again
@pytest.mark.parametrize("check", CHECKS)
def test_without_a_check_the_forgeries_that_name_it_get_through_and_no_others(
    check: str, expected: dict[str, Any], forged: dict[str, Document]
) -> None:
    outcomes = {name: outcome(verifier(check), reply, expected) for name, reply in forged.items()}
    through = {name: how for name, how in outcomes.items() if how not in CHECKS}
    named = [name for name, forgery in FORGERIES.items() if forgery.must_check == check]
    assert through == dict.fromkeys(named, "crashed" if check in READING else "trusted")


def test_a_good_document_is_trusted_with_and_without_each_check(
    attested: Attestation, expected: dict[str, Any]
) -> None:
    good, verifiers = attested.document(nonce=NONCE), (None, *CHECKS)
    outcomes = {check: outcome(verifier(check), good, expected) for check in verifiers}
    assert outcomes == dict.fromkeys(verifiers, "trusted")


def test_every_forgery_is_refused_by_the_check_that_it_names(
    expected: dict[str, Any], forged: dict[str, Document]
) -> None:
    refused = {name: outcome(verifier(), reply, expected) for name, reply in forged.items()}
    assert refused == {name: forgery.must_check for name, forgery in FORGERIES.items()}


def test_the_verifier_has_forty_lines_at_most() -> None:
    tree = ast.parse(SOURCE.read_text(encoding="utf-8"))
    (verify,) = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "verify"]
    assert verify.end_lineno is not None
    assert verify.end_lineno - verify.lineno + 1 <= 40
