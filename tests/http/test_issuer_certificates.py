"""The certificates of issuers: delivered at the URL in the certificate below, or not, as a mode or a forgery has it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from urllib.parse import unquote, urlsplit

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from pytest_imds import FORGERIES, Attestation, ImdsServer
from pytest_imds.shared import Shared
from pytest_imds.trust.deliveries import Delivery
from tests import documents
from tests.documents import CHAINS
from tests.http.wire import TIMEOUT_S, Reply, Wire, error, fetch, request

# How long a test watches that nothing comes.
SILENCE_S = 0.15
# Far less than the second that the end of a test gives to replies that are still being made.
AT_ONCE_S = 0.6
# One root of trust for the servers that these tests make themselves.
SHARED = Shared("ec")
SILENT = ["aia-timeout", "aia-hang"]


def signer(document: dict[str, str]) -> x509.Certificate:
    return documents.opened(document).leaf


def path(url: str) -> str:
    return urlsplit(url).path


def get(server: ImdsServer, url: str, method: str = "GET") -> Reply:
    """Ask as a verifier does: without the header that IMDS wants."""
    return fetch(server, path(url), headers=[], method=method)


@pytest.fixture(params=[(chain, aia) for chain in CHAINS for aia in ("loopback", "dual", "microsoft")], ids="-".join)
def server(request: pytest.FixtureRequest) -> Iterator[ImdsServer]:
    chain, aia = request.param
    with ImdsServer(chain=chain, aia=aia, shared=SHARED) as server:
        yield server


def test_every_issuer_below_the_root_is_delivered_at_each_of_its_urls(server: ImdsServer) -> None:
    *between, root = [
        x509.load_pem_x509_certificate(pem) for pem in (*server.attestation.chain[1:], server.attestation.root_pem)
    ]
    below = signer(server.attestation.document())

    for issuer in [*between, root]:
        urls = documents.ca_issuers(below)
        assert urls
        for url in urls:
            reply = get(server, url)
            assert (reply.status, reply.header("Content-Type")) == (200, "application/pkix-cert")
            assert x509.load_der_x509_certificate(reply.body) == issuer
        below = issuer
    assert documents.ca_issuers(root) == []


@pytest.mark.parametrize(("aia", "count"), [("loopback", 1), ("dual", 2)])
@pytest.mark.parametrize("chain", CHAINS)
def test_a_mode_names_as_many_urls_as_it_says_in_each_certificate(chain: str, aia: str, count: int) -> None:
    attestation = documents.attestation(chain=chain, aia=aia)

    for pem in attestation.chain:
        assert len(documents.ca_issuers(x509.load_pem_x509_certificate(pem))) == count


def test_urls_are_on_the_server_of_the_test_or_look_like_microsoft_s(server: ImdsServer) -> None:
    urls = documents.ca_issuers(signer(server.attestation.document()))

    if server.attestation.aia == "microsoft":
        hosts = ["www.microsoft.com", "caissuers.microsoft.com"][: len(urls)]
        assert [urlsplit(url).netloc for url in urls] == hosts
        assert {path(url).rpartition("/")[0] for url in urls} == {"/pkiops/certs"}
    else:
        assert all(url.startswith(f"{server.url}/") for url in urls)
        assert len({path(url) for url in urls}) == len(urls)
    assert all(path(url).endswith(".crt") and "TEST" in unquote(url) for url in urls)


def test_what_is_no_certificate_of_a_document_is_not_there(imds_server: ImdsServer, imds_attested: Attestation) -> None:
    (url,) = documents.ca_issuers(signer(imds_attested.document()))

    for other in ("/pkiops/certs/other.crt", "/pkiops/certs/", path(url) + "/", path(url).lower(), path(url)[:-1]):
        assert fetch(imds_server, other, headers=[]).told == error("outside-metadata")
    assert get(imds_server, url).status == 200


def test_head_of_a_certificate_is_refused_as_everywhere(imds_server: ImdsServer, imds_attested: Attestation) -> None:
    (url,) = documents.ca_issuers(signer(imds_attested.document()))

    assert get(imds_server, url, method="HEAD").status == error("head")[0]


def test_certificates_of_documents_before_a_forgery_stay_where_they_are(
    imds_server: ImdsServer, imds_attested: Attestation
) -> None:
    (url,) = documents.ca_issuers(signer(imds_attested.document()))
    good = get(imds_server, url).body
    for name in FORGERIES:
        imds_attested.forge(name)

    assert get(imds_server, url).body == good
    assert documents.ca_issuers(signer(imds_attested.document())) == [url]


def test_a_handler_of_the_test_answers_before_a_certificate(
    imds_server: ImdsServer, imds_attested: Attestation
) -> None:
    (url,) = documents.ca_issuers(signer(imds_attested.document()))
    imds_server.expect_request(unquote(path(url))).respond_with_data("mine")

    assert get(imds_server, url).body == b"mine"


@pytest.mark.parametrize("chain", CHAINS)
@pytest.mark.parametrize(
    ("aia", "status", "kind"),
    [("dead", 404, "text/html"), ("html", 200, "text/html"), ("wrong", 200, "application/pkix-cert")],
)
def test_a_mode_answers_as_it_is_called(chain: str, aia: str, status: int, kind: str) -> None:
    with ImdsServer(chain=chain, aia=aia, shared=SHARED) as server:
        leaf = signer(server.attestation.document())
        replies = [get(server, url) for url in documents.ca_issuers(leaf)]

        assert replies
        for reply in replies:
            assert (reply.status, (reply.header("Content-Type") or "").partition(";")[0]) == (status, kind)
            if aia == "wrong":
                other = x509.load_der_x509_certificate(reply.body)
                assert other.subject != leaf.issuer
                assert (
                    other.public_key()
                    != x509.load_pem_x509_certificate(server.attestation.intermediate_pem).public_key()
                )


def test_the_mode_none_names_no_url() -> None:
    with ImdsServer(aia="none", shared=SHARED) as server:
        assert documents.ca_issuers(signer(server.attestation.document())) == []


@pytest.mark.parametrize(
    ("name", "status", "body"),
    [
        ("aia-forbidden", 403, b""),
        ("aia-html", 200, b"<!DOCTYPE html>"),
        ("aia-pem", 200, b"-----BEGIN CERTIFICATE-----"),
        ("aia-pkcs7", 200, b"\x30\x82"),
        ("aia-oversized", 200, b"\x30\x83"),
        ("aia-not-found", 404, b"<"),
        ("aia-both-dead", 404, b"<"),
    ],
)
def test_a_forgery_of_access_is_answered_as_it_says(
    imds_server: ImdsServer, imds_attested: Attestation, name: str, status: int, body: bytes
) -> None:
    urls = documents.ca_issuers(signer(imds_attested.forge(name)))

    assert len(urls) == (2 if name == "aia-both-dead" else 1)
    for url in urls:
        reply = get(imds_server, url)
        assert reply.status == status
        assert reply.body.startswith(body)
        assert (len(reply.body) > 1 << 20) == (name == "aia-oversized")


@pytest.mark.parametrize("chain", CHAINS)
def test_a_redirect_leads_to_the_right_certificate_on_another_host(chain: str) -> None:
    with ImdsServer(chain=chain, aia="loopback", shared=SHARED) as server:
        (url,) = documents.ca_issuers(signer(server.attestation.forge("aia-redirect")))
        redirect = get(server, url)
        location = redirect.header("Location") or ""

        assert (redirect.status, urlsplit(location).netloc) == (302, f"localhost:{server.port}")
        issuer = x509.load_der_x509_certificate(get(server, location).body)
        assert issuer == x509.load_pem_x509_certificate(server.attestation.intermediate_pem)


def test_a_url_off_the_list_delivers_the_right_certificate(imds_server: ImdsServer, imds_attested: Attestation) -> None:
    (url,) = documents.ca_issuers(signer(imds_attested.forge("aia-off-list")))

    assert urlsplit(url).netloc == f"localhost:{imds_server.port}"
    assert x509.load_der_x509_certificate(get(imds_server, url).body) == x509.load_pem_x509_certificate(
        imds_attested.intermediate_pem
    )


def waiting(server: ImdsServer, name: str) -> Wire:
    """A client that has asked for a certificate that does not come."""
    (url,) = documents.ca_issuers(signer(server.attestation.forge(name)))
    wire = Wire(server)
    wire.send(request(path(url), headers=[]))
    return wire


def received(client: Wire) -> bytes:
    """Return what comes until nothing more does, on a connection that stays open."""
    client.socket.settimeout(SILENCE_S)
    whole = b""
    try:
        while part := client.socket.recv(65536):
            whole += part
    except TimeoutError:
        return whole
    pytest.fail("the server has closed the connection")


def test_a_url_that_never_answers_sends_no_byte(imds_server: ImdsServer, imds_attested: Attestation) -> None:
    assert imds_attested.chain  # the certificate is there to be sent
    with waiting(imds_server, "aia-timeout") as client:
        assert received(client) == b""


def test_a_url_that_stops_half_way_sends_the_head_and_half_a_certificate(
    imds_server: ImdsServer, imds_attested: Attestation
) -> None:
    whole = x509.load_pem_x509_certificate(imds_attested.intermediate_pem).public_bytes(Encoding.DER)
    with waiting(imds_server, "aia-hang") as client:
        head, _, part = received(client).partition(b"\r\n\r\n")

    assert f"Content-Length: {len(whole)}".encode() in head.splitlines()
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert whole.startswith(part)
    assert len(whole) // 4 < len(part) < len(whole)


@pytest.mark.parametrize("name", SILENT)
def test_others_are_served_while_a_client_waits(imds_server: ImdsServer, name: str) -> None:
    clients = [waiting(imds_server, name) for _ in range(5)]
    began = time.monotonic()
    replies = [fetch(imds_server, "/metadata/versions") for _ in range(5)]
    took = time.monotonic() - began
    for client in clients:
        client.__exit__(None, None, None)

    assert {reply.status for reply in replies} == {200}
    assert took < AT_ONCE_S


@pytest.mark.parametrize("name", SILENT)
@pytest.mark.parametrize("ending", ["release", "stop"])
def test_the_end_of_a_test_does_not_wait_for_a_client_that_waits(name: str, ending: str) -> None:
    with ImdsServer(shared=SHARED) as server, waiting(server, name) as client:
        received(client)
        began = time.monotonic()
        getattr(server, ending)()
        took = time.monotonic() - began

    assert took < AT_ONCE_S
    server.check()


@pytest.mark.parametrize("after", [0, 1])
def test_the_end_of_a_test_does_not_wait_for_a_certificate_that_is_made_meanwhile(after: int) -> None:
    """The first certificate of a session needs keys, which take a while: the server falls silent after the end."""
    asked = threading.Event()

    def made() -> bytes:
        asked.set()
        threading.Event().wait(AT_ONCE_S / 4)
        return b"certificate"

    with ImdsServer(shared=SHARED) as server:
        server.attestation.deliveries.put("/slow.crt", Delivery(made, silent_after=after))
        with Wire(server) as client:
            client.send(request("/slow.crt", headers=[]))
            assert asked.wait(AT_ONCE_S)
            began = time.monotonic()
            server.release()
            took = time.monotonic() - began

    assert took < AT_ONCE_S
    server.check()


@pytest.mark.parametrize("name", SILENT)
def test_clients_that_give_up_leave_no_thread_behind(imds_server: ImdsServer, name: str) -> None:
    before = threading.active_count()
    for _ in range(20):
        with waiting(imds_server, name):
            assert fetch(imds_server, "/metadata/versions").status == 200
        served = time.monotonic() + TIMEOUT_S
        (listener,) = imds_server.listeners()
        while listener.connections:
            assert time.monotonic() < served, "the server has not seen that the clients are gone"

    assert threading.active_count() - before < 8
