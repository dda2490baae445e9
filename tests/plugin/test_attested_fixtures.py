"""``imds_attested``, ``imds_forgery`` and what markers and options say of them, as a user's tests see them."""

from __future__ import annotations

import pytest

# An inner run forgets the modules that it is the first to import, and cryptography can be imported once alone.
import pytest_imds.trust.mint
import pytest_imds.trust.verifier  # noqa: F401
from pytest_imds import FORGERIES
from tests.plugin.conftest import ALONE, PLUGINS, Run

EC = "imds_authority_keys = ec"
NAMES = list(FORGERIES)
OF_THREE_CHECKS = [
    name for name, forgery in FORGERIES.items() if forgery.must_check in ("signature", "intermediate", "vm")
]
OF_DIGEST = [name for name, forgery in FORGERIES.items() if forgery.must_check == "digest"]


def test_the_fixture_alone_starts_the_server(pytester: pytest.Pytester, run: Run) -> None:
    pytester.makepyfile(
        """
        from urllib.request import Request, urlopen
        import json

        def test_it(imds_attested, request):
            server = request.getfixturevalue("imds_server")
            assert server.attestation is imds_attested
            asked = Request(
                server.url + "/metadata/attested/document?api-version=2021-02-01&nonce=abc",
                headers={"Metadata": "true"},
            )
            with urlopen(asked, timeout=5) as reply:
                members = imds_attested.verify(json.load(reply), nonce="abc", api_version="2021-02-01")
            assert members["vmId"] == server.vm.vm_id
        """
    )
    run(ini=(EC,)).assert_outcomes(passed=1)


def test_the_fixture_gives_the_forgery_that_the_id_names(pytester: pytest.Pytester, run: Run) -> None:
    pytester.makepyfile(
        """
        import pytest
        from pytest_imds import FORGERIES, AttestationError

        @pytest.mark.imds_forgeries(only=["signature", "intermediate", "vm"])
        def test_it(imds_attested, imds_forgery, request):
            assert request.node.name == f"test_it[{imds_forgery}]"
            assert imds_forgery is FORGERIES[imds_forgery.name]
            with pytest.raises(AttestationError) as caught:
                imds_attested.verify(imds_attested.forge(imds_forgery))
            assert caught.value.check == imds_forgery.must_check
        """
    )
    run(ini=(EC,)).assert_outcomes(passed=len(OF_THREE_CHECKS))


def test_a_fixture_of_the_user_may_ask_for_the_forgery(pytester: pytest.Pytester, run: Run) -> None:
    pytester.makepyfile(
        """
        import pytest

        @pytest.fixture
        def document(imds_attested, imds_forgery):
            return imds_attested.forge(imds_forgery)

        @pytest.mark.imds_forgeries(only="digest")
        @pytest.mark.parametrize("n", [1, 2])
        def test_it(document, n):
            assert document.signature
        """
    )
    run(ini=(EC,)).assert_outcomes(passed=2 * len(OF_DIGEST))


def test_options_of_the_marker_reach_the_documents_and_merge(pytester: pytest.Pytester, run: Run) -> None:
    pytester.makepyfile(
        """
        import pytest

        pytestmark = pytest.mark.imds(chain="2026", cloud="AzureChinaCloud")

        @pytest.mark.imds(aia="microsoft", digest_oid="sha256")
        def test_merged(imds_attested):
            assert (imds_attested.cloud, imds_attested.aia) == ("AzureChinaCloud", "microsoft")
            assert len(imds_attested.chain) == 3
            assert imds_attested.verify(imds_attested.document())

        @pytest.mark.imds(chain="2024", aia=None, newest=None)
        def test_taken_back(imds_attested):
            assert imds_attested.aia == "loopback"
            assert len(imds_attested.chain) == 2
        """
    )
    run(ini=(EC,)).assert_outcomes(passed=2)


def test_nothing_leaks_from_one_test_into_the_next(pytester: pytest.Pytester, run: Run) -> None:
    pytester.makepyfile(
        """
        import json
        from urllib.request import Request, urlopen

        KEPT = {}

        def document(server):
            url = server.url + "/metadata/attested/document?api-version=2021-02-01"
            with urlopen(Request(url, headers={"Metadata": "true"}), timeout=5) as reply:
                return json.load(reply)

        def test_serves_a_forgery(imds_server, imds_attested):
            imds_attested.serve("wrong-encoding")
            assert document(imds_server)["encoding"] == "cms"
            KEPT.update(attested=imds_attested, file=imds_attested.root_path)
            assert KEPT["file"].is_file()
            imds_attested.deliveries.put("/own.crt", imds_attested.deliveries)

        def test_next(imds_server, imds_attested):
            assert imds_attested is not KEPT["attested"]
            assert not KEPT["file"].exists()
            assert imds_attested.deliveries.at("/own.crt") is None
            assert imds_attested.verify(document(imds_server), api_version="2021-02-01")
        """
    )
    run(ini=(EC,)).assert_outcomes(passed=2)


@pytest.mark.parametrize("ending", ["assert 0", "imds_server.stop()", "pytest.skip()"])
def test_the_file_of_the_root_goes_away_however_a_test_ends(pytester: pytest.Pytester, run: Run, ending: str) -> None:
    pytester.makepyfile(
        f"""
        import pathlib
        import pytest

        def test_it(imds_attested, imds_server):
            assert imds_attested.root_path.stat().st_mode & 0o777 == 0o600
            pathlib.Path("told").write_text(str(imds_attested.root_path))
            {ending}
        """
    )
    run(ini=(EC,))

    told = (pytester.path / "told").read_text()
    assert "pytest-imds" in told
    assert not pytester.path.joinpath(told).exists()


ROOTS = """
    import pathlib

    import pytest

    @pytest.mark.parametrize("number", range(3))
    def test_it(imds_attested, number):
        with pathlib.Path("roots").open("ab") as file:
            file.write(imds_attested.root_pem + b"|")
"""


def test_the_root_is_made_once_a_session(pytester: pytest.Pytester, run: Run) -> None:
    pytester.makepyfile(ROOTS)
    for session in (1, 2):
        run(ini=(EC,)).assert_outcomes(passed=3)
        roots = (pytester.path / "roots").read_bytes().removesuffix(b"|").split(b"|")
        assert (len(roots), len({*roots})) == (3 * session, session)


@pytest.mark.parametrize(("keys", "kind"), [("rsa", "rsa.RSAPublicKey"), ("ec", "ec.EllipticCurvePublicKey")])
def test_the_ini_option_says_which_keys_authorities_have(
    pytester: pytest.Pytester, run: Run, keys: str, kind: str
) -> None:
    pytester.makepyfile(
        f"""
        from cryptography import x509
        from cryptography.hazmat.primitives.asymmetric import ec, rsa

        def test_it(imds_attested):
            signer, issuer = (x509.load_pem_x509_certificate(pem).public_key() for pem in imds_attested.chain)
            assert isinstance(signer, rsa.RSAPublicKey) and isinstance(issuer, {kind})
            assert imds_attested.verify(imds_attested.document())
        """
    )
    run(ini=(f"imds_authority_keys = {keys}",)).assert_outcomes(passed=1)


@pytest.mark.parametrize("keys", ["RSA", "", "ed25519"])
def test_keys_that_there_are_not_are_an_error_of_usage(pytester: pytest.Pytester, run: Run, keys: str) -> None:
    pytester.makepyfile("def test_it(): ...")
    result = run(ini=(f"imds_authority_keys = {keys}",))

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: the ini option imds_authority_keys cannot be '{keys}'.", "  known: rsa, ec"])


UNUSED = """
    import sys

    def test_server(imds_server, imds_vm):
        assert imds_server.url

    def test_forgery(imds_forgery):
        assert imds_forgery.why

    def test_attested(imds_attested):
        imds_attested.serve("sha1")
        assert imds_attested.cloud

    def test_last():
        assert not {name for name in sys.modules if name.partition(".")[0] == "cryptography"}
        from pytest_imds import Attestation, AttestationError, CHECKS, Document, FORGERIES, Forgery
        assert "cryptography" not in sys.modules
"""


def test_cryptography_is_not_imported_before_a_document_is_asked_for(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(ALONE, "1")
    pytester.makepyfile(UNUSED)
    done = pytester.runpytest_subprocess(*PLUGINS, "-p", "no:cacheprovider")
    done.assert_outcomes(passed=3 + len(NAMES))
