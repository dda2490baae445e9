"""``Attestation``: the file of the root, the certificates, documents, and what is said of a wrong argument."""

from __future__ import annotations

import os
import pickle
import stat
from base64 import b64decode
from datetime import datetime, timedelta, timezone
from itertools import pairwise
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from cryptography import x509

from pytest_imds import (
    FORGERIES,
    Attestation,
    AttestationNameError,
    Document,
    Forgery,
    ImdsServer,
    ImdsUsageError,
    data,
)
from pytest_imds.shared import Shared
from pytest_imds.trust.setting import AIA_MODES, Setting
from tests import documents, hosts
from tests.documents import CHAINS, VERSIONS
from tests.every import every

DIGESTS: dict[str, str] = data.read("attested")["digest-oid"]["known"]


@pytest.fixture(scope="module")
def linux() -> Attestation:
    return documents.attestation()


def test_a_document_is_the_json_object_of_the_reply(linux: Attestation) -> None:
    document = linux.document()

    assert isinstance(document, Document)
    assert list(document) == ["encoding", "signature"]
    assert document["encoding"] == "pkcs7"
    assert document.signature == document["signature"]
    assert b64decode(document.signature, validate=True)[:2] == b"\x30\x82"


def test_a_document_is_still_one_after_pickling(linux: Attestation) -> None:
    document = linux.document()
    copy = pickle.loads(pickle.dumps(document))

    assert (copy, copy.signature, type(copy)) == (document, document.signature, Document)


def test_a_reply_without_a_signature_has_an_empty_one(linux: Attestation) -> None:
    assert linux.forge("no-signature").signature == ""


@pytest.mark.parametrize("name", DIGESTS)
def test_the_digest_is_named_as_asked_for_in_both_places(name: str) -> None:
    opened = documents.opened(documents.attestation(digest_oid=name).document())

    assert opened.digest_oids == (DIGESTS[name], DIGESTS[name])


def test_the_digest_is_named_as_the_service_does_unless_asked_otherwise(linux: Attestation) -> None:
    assert documents.opened(linux.document()).digest_oids[0] == "1.2.840.113549.1.1.11"


@pytest.mark.parametrize("chain", CHAINS)
def test_the_chain_is_that_of_the_documents_from_the_signer_up(chain: str) -> None:
    attestation = documents.attestation(chain=chain)
    certificates = [x509.load_pem_x509_certificate(pem) for pem in (*attestation.chain, attestation.root_pem)]

    assert certificates[0] == documents.opened(attestation.document()).leaf
    assert len(certificates) == 1 + len(data.read("chains")[chain]["authorities"])
    for below, above in pairwise(certificates):
        below.verify_directly_issued_by(above)
    certificates[-1].verify_directly_issued_by(certificates[-1])


def test_the_intermediate_is_the_issuer_of_the_signer(linux: Attestation) -> None:
    assert linux.intermediate_pem == linux.chain[1]
    issuer = x509.load_pem_x509_certificate(linux.intermediate_pem)
    documents.opened(linux.document()).leaf.verify_directly_issued_by(issuer)


def test_cloud_and_mode_are_told() -> None:
    attestation = documents.attestation(chain="2026", cloud="AzureChinaCloud")

    assert (attestation.cloud, attestation.aia) == ("AzureChinaCloud", "dual")
    assert documents.attestation().aia == "loopback"


def test_the_cloud_of_the_vm_may_be_assigned() -> None:
    vm = documents.vm()
    attestation = hosts.attestation(vm)
    vm.cloud, vm.location = "AzureUSGovernmentCloud", "usgovvirginia"
    document = attestation.document()

    assert "metadata.azure.us" in documents.opened(document).leaf.subject.rfc4514_string()
    attestation.verify(document)
    with pytest.raises(AttestationNameError, match=r"metadata\.azure\.us.*expected.*metadata\.azure\.com"):
        attestation.verify(document, cloud="AzurePublicCloud")


def test_the_file_of_the_root_is_for_this_user_alone_and_goes_away(linux: Attestation) -> None:
    path = linux.root_path

    assert path.read_bytes() == linux.root_pem
    assert linux.root_path == path
    if os.name == "posix":
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    linux.close()
    assert not path.exists()


def test_a_file_that_the_test_has_deleted_is_no_problem() -> None:
    attestation = documents.attestation()
    attestation.root_path.unlink()
    attestation.close()
    attestation.close()


def test_the_file_goes_away_with_the_attestation_at_the_latest() -> None:
    attestation = documents.attestation()
    path = attestation.root_path
    del attestation

    assert not path.exists()


@pytest.mark.parametrize("ending", [None, RuntimeError, KeyboardInterrupt], ids=str)
def test_the_file_goes_away_when_a_server_ends(ending: type[BaseException] | None) -> None:
    path = Path()
    try:
        with ImdsServer(shared=Shared("ec")) as server:
            path = server.attestation.root_path
            assert path.is_file()
            if ending:
                raise ending
    except (RuntimeError, KeyboardInterrupt):
        pass

    assert not path.exists()


def test_the_root_is_that_of_all_vms_of_a_session() -> None:
    roots = {documents.attestation(cloud=cloud).root_pem for cloud in documents.CLOUDS}

    assert roots == {documents.attestation("windows", chain="2026").root_pem}


# An argument, and what the error lists.
WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "unknown keyword": ({"vmid": "x"}, r"unknown argument of a document 'vmid'(?s:.)*did you mean 'vm_id'"),
    "member for a keyword": ({"vmId": "x"}, r"unknown argument of a document 'vmId'(?s:.)*known: .*created_on.*vm_id"),
    "api-version": (
        {"api_version": "2021-02-02"},
        r"'2021-02-02'(?s:.)*did you mean '2021-02-01'(?s:.)*known: 2018-10-01, ",
    ),
    "api-version before": ({"api_version": "2018-04-02"}, r"'2018-04-02'(?s:.)*known: 2018-10-01, "),
    "api-version of a wrong type": ({"api_version": 2021}, r"2021(?s:.)*known: 2018-10-01, "),
    "naive time": (
        {"created_on": datetime(2026, 1, 1)},
        r"created_on cannot be datetime(?s:.)*right: a datetime with a time zone",
    ),
    "naive expiry": ({"expires_on": datetime(2026, 1, 1)}, r"expires_on cannot be datetime(?s:.)*with a time zone"),
    "time as text": (
        {"created_on": "03/04/26 12:05:06 -0000"},
        r"created_on cannot be '(?s:.)*a datetime with a time zone",
    ),
    "no JSON": ({"vm_id": uuid4()}, r"vm_id|vmId"),
    "no JSON inside": ({"plan": {"name": {1}}}, r"plan"),
    "bytes": ({"sku": b"x"}, r"sku"),
}


@pytest.mark.parametrize(("argument", "told"), WRONG.values(), ids=WRONG)
def test_a_wrong_argument_of_a_document_is_refused_with_what_is_right(
    linux: Attestation, argument: dict[str, Any], told: str
) -> None:
    with pytest.raises(ImdsUsageError, match=told):
        linux.document(**argument)


@pytest.mark.parametrize("ask", ["document", "verify"])
def test_a_service_older_than_attested_documents_has_none(ask: str) -> None:
    old = hosts.attestation(documents.vm(), newest="2018-04-02")

    with pytest.raises(ImdsUsageError, match="'2018-04-02'"):
        getattr(old, ask)(*[""] * (ask == "verify"))


def test_a_pinned_service_has_no_documents_of_later_api_versions() -> None:
    pinned = hosts.attestation(documents.vm(), newest="2019-06-01")

    with pytest.raises(ImdsUsageError, match=r"'2019-11-01'(?s:.)*known: 2018-10-01, .*2019-06-01$"):
        pinned.document(api_version="2019-11-01")


# What verify() is given, and what the error lists.
WRONG_TO_VERIFY: dict[str, tuple[dict[str, Any], str]] = {
    "cloud": (
        {"cloud": "AzureChina"},
        r"unknown cloud 'AzureChina'(?s:.)*did you mean 'AzureChinaCloud'(?s:.)*known: ",
    ),
    "cloud of a wrong type": ({"cloud": ["AzureChinaCloud"]}, r"unknown cloud \['AzureChinaCloud'\]"),
    "naive time": ({"now": datetime(2026, 1, 1)}, r"now cannot be datetime(?s:.)*a datetime with a time zone"),
    "seconds": ({"now": 1_700_000_000}, r"now cannot be 1700000000(?s:.)*a datetime with a time zone"),
    "api-version": ({"api_version": "2018-04-02"}, r"'2018-04-02'(?s:.)*known: 2018-10-01, "),
    "no PEM": ({"trust": b"nothing"}, r"trust cannot be b'nothing'(?s:.)*PEM, as bytes"),
    "empty trust": ({"trust": b""}, r"trust cannot be b''(?s:.)*PEM, as bytes"),
    "path of trust": ({"trust": Path("root.pem")}, r"trust cannot be .*root\.pem(?s:.)*PEM, as bytes"),
    "text of trust": ({"trust": "-----BEGIN"}, r"trust cannot be '-----BEGIN'(?s:.)*PEM, as bytes"),
}


@pytest.mark.parametrize(("argument", "told"), WRONG_TO_VERIFY.values(), ids=WRONG_TO_VERIFY)
def test_a_wrong_argument_of_verify_is_refused_with_what_is_right(
    linux: Attestation, argument: dict[str, Any], told: str
) -> None:
    with pytest.raises(ImdsUsageError, match=told):
        linux.verify(linux.document(), **argument)


@pytest.mark.parametrize("signature", [None, 5, [], b"MII", True], ids=repr)
def test_what_is_no_signature_and_no_reply_is_refused_with_what_is_right(linux: Attestation, signature: Any) -> None:
    with pytest.raises(ImdsUsageError, match=r"signature cannot be (?s:.)*in base64, a str, or the whole reply"):
        linux.verify(signature)


@every("ask", ["forge", "serve"])
@every("name", ["tampered-contents", "", 5, [], ["sha1"], Forgery("own", "", "", "")])
def test_a_forgery_that_there_is_not_is_refused_with_the_list(linux: Attestation, ask: str, name: Any) -> None:
    with pytest.raises(ImdsUsageError, match=rf"unknown forgery (?s:.)*known: {min(FORGERIES)}, ") as caught:
        getattr(linux, ask)(name)
    assert caught.value.received == name
    assert ("'tampered-content'" in str(caught.value)) == (name == "tampered-contents")


def test_an_argument_that_forge_has_not_is_refused_without_being_recommended(linux: Attestation) -> None:
    with pytest.raises(ImdsUsageError, match="unknown argument of a document 'created_on'") as caught:
        linux.forge("truncated", created_on=datetime.now(timezone.utc) - timedelta(hours=1))
    known = str(caught.value).rpartition("known: ")[2]
    assert "created_on" not in known
    assert {"api_version", "nonce", "vm_id"} <= set(known.split(", "))


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        ({"chain": "2025"}, "unknown chain '2025'(?s:.)*known: 2024, 2026"),
        ({"chain": 2024}, "unknown chain 2024(?s:.)*known: 2024, 2026"),
        (
            {"aia": "loopbak"},
            f"unknown aia mode 'loopbak'(?s:.)*'loopback'(?s:.)*known: {', '.join(sorted(AIA_MODES))}",
        ),
        ({"aia": ["dead"]}, "unknown aia mode"),
        ({"digest_oid": "sha1"}, "unknown digest_oid 'sha1'(?s:.)*known: sha256, sha256WithRSAEncryption"),
    ],
    ids=str,
)
def test_a_setting_that_there_is_not_is_refused_with_the_list(setting: dict[str, Any], told: str) -> None:
    with pytest.raises(ImdsUsageError, match=told):
        Setting(**setting)
    with pytest.raises(ImdsUsageError, match=told):
        ImdsServer(**setting)


@every("version", VERSIONS)
def test_what_is_made_for_an_api_version_verifies_for_it(linux: Attestation, version: str) -> None:
    assert linux.verify(linux.document(api_version=version), api_version=version)
