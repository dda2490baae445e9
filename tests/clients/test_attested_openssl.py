"""OpenSSL judges attested documents: in the documentation's script, and by itself."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from base64 import b64decode
from functools import cache
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import AuthorityInformationAccessOID

from pytest_imds import ImdsServer, Vm, data
from pytest_imds.trust.attestation import Attestation
from pytest_imds.trust.setting import Setting, domain
from pytest_imds.vm.provider import generate, generator
from tests.every import every
from tests.hosts import attestation

OPENSSL = shutil.which("openssl") or ""
TIMEOUT_S = 10
FORGERIES: dict[str, dict[str, str | None]] = data.read("forgeries")["forgeries"]
CLOUDS = list(data.read("attested")["domains"]["by_cloud"])
CHAINS = list(data.read("chains"))
VERSIONS = sorted(set(data.read("attested")["members"]["since"].values()))
NONCE = "1234567890"


def openssl(*arguments: str | Path, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([OPENSSL, *arguments], input=stdin, capture_output=True, timeout=TIMEOUT_S)


def major_version() -> int:
    """Of OpenSSL; 0 if there is none, or another by its name, such as LibreSSL."""
    name, version, *_ = openssl("version").stdout.decode().split() if OPENSSL else ("", "0")
    return int(version.split(".")[0]) if name == "OpenSSL" else 0


MAJOR = major_version()
pytestmark = pytest.mark.skipif(not MAJOR, reason="OpenSSL is not installed")
# From 4.0 on, OpenSSL refuses what the service calls its digest, whatever else is right: openssl/openssl issue 32702.
DIGEST_OID = "sha256WithRSAEncryption" if MAJOR < 4 else "sha256"


def signed(command: str, document: bytes) -> subprocess.CompletedProcess[bytes]:
    """Let smime or cms verify the signature alone. They would load the system's root certificates all the same."""
    no_roots = ("-no-CAfile", "-no-CApath")
    return openssl(command, "-verify", "-noverify", *no_roots, "-inform", "DER", stdin=document)


@cache
def vm(cloud: str = "AzurePublicCloud") -> Vm:
    return generate(generator(), "linux", "openssl", {"cloud": cloud})


@cache
def attested(cloud: str = "AzurePublicCloud", chain: str = "2024", digest_oid: str = DIGEST_OID) -> Attestation:
    return attestation(vm(cloud), Setting(chain, digest_oid=digest_oid))


# The documentation's script, a step each. Host and root certificates are the test's, and no proxy is asked.
SCRIPT = {
    "document": 'curl -s --noproxy "*" -H Metadata:true "$URL/metadata/attested/document?api-version=2020-09-01"'
    """ | jq -r '.["signature"]' > signature""",
    "decode": "base64 -d signature > decodedsignature",
    "pkcs7": "openssl pkcs7 -in decodedsignature -inform DER -out sign.pk7",
    "signer": "openssl pkcs7 -in decodedsignature -inform DER -print_certs -out signer.pem",
    "intermediate": 'curl -s --noproxy "*" -o intermediate.cer'
    """ "$(openssl x509 -in signer.pem -text -noout | grep " CA Issuers -" | awk -FURI: '{print $2}')\"""",
    "pem": "openssl x509 -inform der -in intermediate.cer -out intermediate.pem",
    "smime": "openssl smime -verify -in sign.pk7 -inform pem -noverify",
    "subject of signer": "openssl x509 -noout -subject -in signer.pem",
    "issuer of signer": "openssl x509 -noout -issuer -in signer.pem",
    "subject of intermediate": "openssl x509 -noout -subject -in intermediate.pem",
    "issuer of intermediate": "openssl x509 -noout -issuer -in intermediate.pem",
    "verify": 'openssl verify -verbose -CAfile "$ROOT" -untrusted intermediate.pem signer.pem',
}
# Where there is no jq, Python takes the member out of the JSON.
JQ, PYTHON = """jq -r '.["signature"]'""", """-c 'import json, sys; print(json.load(sys.stdin)["signature"])'"""
needs_shell = pytest.mark.skipif(
    None in (shutil.which("bash"), shutil.which("curl")), reason="bash or curl is not installed"
)


class Step(NamedTuple):
    status: int
    output: str


def run_script(server: ImdsServer, folder: Path) -> dict[str, Step]:
    python = f"{shlex.quote(sys.executable)} {PYTHON}"
    lines = ["set -o pipefail"]
    for number, step in enumerate(SCRIPT.values()):
        command = step if shutil.which("jq") else step.replace(JQ, python)
        lines += [f"{{ {command}; }} > {number}.output 2>&1", f"echo $? > {number}.status"]
    environment = {**os.environ, "URL": server.url, "ROOT": str(server.attestation.root_path)}
    subprocess.run(["bash", "-c", "\n".join(lines)], env=environment, cwd=folder, check=True, timeout=TIMEOUT_S)
    return {
        name: Step(
            int((folder / f"{number}.status").read_text()), (folder / f"{number}.output").read_text(encoding="utf-8")
        )
        for number, name in enumerate(SCRIPT)
    }


@needs_shell
@pytest.mark.imds(digest_oid=DIGEST_OID)
def test_the_script_of_the_documentation_runs_to_its_end(imds_server: ImdsServer, imds_vm: Vm, tmp_path: Path) -> None:
    steps = run_script(imds_server, tmp_path)

    assert {name: step for name, step in steps.items() if step.status} == {}
    before, successful, after = steps["smime"].output.partition("Verification successful")
    assert successful
    assert json.loads(before or after)["vmId"] == imds_vm.vm_id
    assert steps["subject of signer"].output.endswith(
        (f"CN = {domain(imds_vm.cloud)}\n", f"CN={domain(imds_vm.cloud)}\n")
    )
    name = steps["issuer of signer"].output.removeprefix("issuer=")
    assert steps["subject of intermediate"].output == f"subject={name}"
    assert steps["verify"].output == "signer.pem: OK\n"


@needs_shell
@pytest.mark.imds(aia="dual", digest_oid=DIGEST_OID)
def test_the_script_of_the_documentation_fails_where_the_issuer_has_two_urls(
    imds_server: ImdsServer, tmp_path: Path
) -> None:
    steps = run_script(imds_server, tmp_path)

    assert steps["intermediate"].status == 3, "curl has another status for a URL that is none"
    assert {name for name, step in steps.items() if step.status} == {
        "intermediate",
        "pem",
        "subject of intermediate",
        "issuer of intermediate",
        "verify",
    }
    assert "Verification successful" in steps["smime"].output


def decoded(text: str) -> bytes:
    """What ``base64 -d`` writes of ``text``: the groups of four that are whole."""
    return b64decode(text[: len(text) // 4 * 4])


def issuers(attested: Attestation, below: x509.Certificate) -> list[x509.Certificate]:
    """What the CA Issuers of a certificate deliver, and those of its issuer, up to the root; redirects lead nowhere."""
    try:
        access = below.extensions.get_extension_for_class(x509.AuthorityInformationAccess).value
    except x509.ExtensionNotFound:
        return []
    for method in access:
        if method.access_method == AuthorityInformationAccessOID.CA_ISSUERS:
            delivery = attested.deliveries.at(unquote(urlsplit(method.access_location.value).path))
            if delivery is not None and delivery.status == 200 and delivery.silent_after is None:
                try:
                    issuer = x509.load_der_x509_certificate(delivery.body())
                except ValueError:
                    continue
                return [issuer, *issuers(attested, issuer)]
    return []


@cache
def verify(root: bytes, untrusted: bytes, certificates: bytes, *options: str) -> bool:
    """Whether OpenSSL accepts the first of ``certificates``; asked once for each chain, not for each document."""
    arguments = ["-no-CApath", *options]
    with tempfile.TemporaryDirectory() as folder:
        for option, pem in (("-CAfile", root), ("-untrusted", untrusted), ("", certificates)):
            path = Path(folder, f"certificates{option}")
            path.write_bytes(pem)
            if pem or option != "-untrusted":  # an empty file would be an error of its own
                arguments += [option, str(path)] if option else [str(path)]
        return openssl("verify", *arguments).returncode == 0


def accepts_chain(attested: Attestation, document: bytes, *options: str) -> bool:
    """Whether OpenSSL accepts the first certificate that it prints of a document."""
    printed = openssl("pkcs7", "-inform", "DER", "-print_certs", stdin=document).stdout
    first = x509.load_pem_x509_certificates(printed)[:1] if b"BEGIN" in printed else []
    delivered = [issuer for certificate in first for issuer in issuers(attested, certificate)]
    untrusted, certificate = (b"".join(one.public_bytes(Encoding.PEM) for one in some) for some in (delivered, first))
    return verify(attested.root_pem, untrusted, certificate, *options)


def outcome(accepted: bool) -> str:
    return "accepted" if accepted else "refused"


def measured(what: str) -> list[str]:
    return [name for name, row in FORGERIES.items() if row[what] is not None]


@every("command", ["smime", "cms"])
@every("name", measured("smime"))
def test_the_signature_of_a_forgery_is_judged_as_recorded(name: str, command: str) -> None:
    forged = decoded(attested().forge(name, nonce=NONCE).signature)
    finished = signed(command, forged)

    assert outcome(finished.returncode == 0) == FORGERIES[name]["smime"], finished.stderr.decode()


@every("name", measured("verify"))
def test_the_chain_of_a_forgery_is_judged_as_recorded(name: str) -> None:
    forged = decoded(attested().forge(name, nonce=NONCE).signature)

    assert outcome(accepts_chain(attested(), forged)) == FORGERIES[name]["verify"]


@every("version", VERSIONS)
@every("chain", CHAINS)
@every("cloud", CLOUDS)
def test_the_signature_of_a_good_document_passes(cloud: str, chain: str, version: str) -> None:
    document = decoded(attested(cloud, chain).document(nonce=NONCE, api_version=version).signature)

    for command in ("smime", "cms"):
        finished = signed(command, document)
        assert finished.returncode == 0, finished.stderr.decode()
        assert json.loads(finished.stdout)["vmId"] == vm(cloud).vm_id


@pytest.mark.parametrize("chain", CHAINS)
@pytest.mark.parametrize("cloud", CLOUDS)
def test_the_chain_of_a_good_document_passes_for_both_its_names(cloud: str, chain: str) -> None:
    document = decoded(attested(cloud, chain).document().signature)

    for name in (domain(cloud), f"{vm(cloud).location}.{domain(cloud)}"):
        assert accepts_chain(attested(cloud, chain), document, "-purpose", "sslserver", "-verify_hostname", name), name


def test_another_host_name_is_refused() -> None:
    document = decoded(attested().document().signature)

    assert not accepts_chain(attested(), document, "-purpose", "sslserver", "-verify_hostname", "login.example")


@pytest.mark.parametrize(("digest_oid", "accepted"), [("sha256WithRSAEncryption", MAJOR < 4), ("sha256", True)])
def test_the_digest_oid_of_the_service_is_refused_by_openssl_4_alone(digest_oid: str, accepted: bool) -> None:
    document = decoded(attested(digest_oid=digest_oid).document().signature)
    finished = signed("cms", document)

    assert (finished.returncode == 0) is accepted, finished.stderr.decode()
