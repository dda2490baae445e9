"""The making of documents: content, certificates, message, reply; and of forgeries, where one step is different."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from urllib.parse import quote

from pytest_imds import data
from pytest_imds.errors import ImdsUsageError
from pytest_imds.trust import content
from pytest_imds.trust.alteration import GOOD, Access, Alteration, Wanted, signer
from pytest_imds.trust.authority import LEAF_KEY, TEST, Authority, Path
from pytest_imds.trust.certificate import (
    COMMON_NAME,
    COUNTRY,
    LOCALITY,
    ORGANIZATION,
    STATE,
    Certificate,
    Name,
    Profile,
    common_name,
)
from pytest_imds.trust.deliveries import Deliveries, Delivery
from pytest_imds.trust.document import Document, SignedData, document
from pytest_imds.trust.forging import ACCESS, ALTERATIONS
from pytest_imds.trust.setting import AIA_MODES, MICROSOFT, Setting, domain
from pytest_imds.vm.model import Vm

DAY = 86_400
# Certificates are issued for a month, anew every fortnight of the host's time, whatever time a test lives in.
RENEWED_EVERY, VALID_BEFORE, VALID_AFTER = 15 * DAY, DAY, 30 * DAY
NOT_MICROSOFT = (ORGANIZATION, "pytest-imds TEST - NOT MICROSOFT")
TEST_NAMES = ((COUNTRY, "US"), NOT_MICROSOFT)
LEAF_NAMES = ((COUNTRY, "US"), (STATE, "WA"), (LOCALITY, "Redmond"), NOT_MICROSOFT)


class Mint:
    """Makes the documents of a VM.

    Args:
        vm: the VM.
        setting: how its documents are signed.
        authority: who signs.
        address: how URLs on the test's server begin; by another name for ``True``.
        deliveries: what the test's server delivers: the certificates of issuers are added.
    """

    def __init__(
        self,
        vm: Vm,
        setting: Setting,
        authority: Authority,
        address: Callable[[bool], str],
        deliveries: Deliveries,
    ) -> None:
        self._vm = vm
        self._setting = setting
        self._authority = authority
        self._address = address
        self._deliveries = deliveries

    def path(self, now: int) -> Path:
        """Return the certificates of a good document, from the leaf to the root."""
        good = self._certificates(now)
        return self._located(good, good, self._access, self._setting.aia)

    def document(self, wanted: Wanted, forgery: str = "") -> Document:
        """Return a document, good or forged.

        Raises:
            ImdsUsageError: the forgery would not differ from a good document here.
        """
        alteration = ALTERATIONS[forgery] if forgery else Alteration()
        text = self._text(wanted, alteration, forgery)
        good = self._certificates(wanted.now)
        if forgery:
            self._located(good, good, GOOD, "")  # a redirect leads to where a good document's issuer is
        path = alteration.path(good) if alteration.path else good
        access = alteration.access or self._access
        if len(path) > 1:
            path = self._located(path, good, access, forgery or self._setting.aia)
        else:
            # Who signs itself still names the issuer that it has not.
            path = self._located((*path, *good[1:]), good, access, forgery)[:1]
        leaf, oid = self._authority.certificate(path), self._setting.digest
        message = SignedData(text, oid, (leaf,), (signer(self._authority, path, text, oid),))
        if alteration.message:
            message = alteration.message(message, path, self._authority)
        encoded = message.encoded()
        reply = document(alteration.encoded(encoded) if alteration.encoded else encoded)
        return alteration.reply(reply) if alteration.reply else reply

    @property
    def _access(self) -> Access:
        mode = AIA_MODES[self._setting.aia]
        return ACCESS[mode] if mode else GOOD

    def _text(self, wanted: Wanted, alteration: Alteration, forgery: str) -> bytes:
        of_vm = content.members(self._vm, wanted.version, wanted.nonce, wanted.created, wanted.expires)
        members = {**of_vm, **wanted.changed}
        if alteration.members:
            good, members = members, alteration.members(members, wanted)
            if members == good:
                raise ImdsUsageError.wrong_value("the forgery", forgery, f"one that changes {content.written(good)!r}")
        text = content.written(members)
        return alteration.text(text) if alteration.text else text

    def _certificates(self, now: int) -> Path:
        """Return the certificates of a good document; none says yet where its issuer's is to be had."""
        row = self._setting.row
        *_, root = row["authorities"]
        purposes = tuple(row["leaf"]["purposes"])
        start = now - now % RENEWED_EVERY
        not_before, not_after = start - VALID_BEFORE, start + VALID_AFTER
        names = tuple(data.read("attested")["constraints"]["names"])
        authorities = [
            Certificate(
                subject=_subject(TEST_NAMES, f"{TEST}{authority['name']}"),
                key=authority["name"],
                ca=True,
                purposes=() if authority is root else purposes,
                names=names,
                path_length=authority.get("path_length"),
                not_before=not_before,
                not_after=not_after,
            )
            for authority in row["authorities"]
        ]
        of_cloud = domain(self._vm.cloud)
        template, major, minor = row["leaf"]["template"]
        leaf = Certificate(
            subject=_subject(LEAF_NAMES, of_cloud),
            key=LEAF_KEY,
            ca=False,
            purposes=purposes,
            names=(f"{self._vm.location}.{of_cloud}", of_cloud),
            leaf=Profile((template, major, minor), tuple((oid, url) for oid, url in row["leaf"]["policies"])),
            revocation=self._revocation(common_name(authorities[0])),
            not_before=not_before,
            not_after=not_after,
        )
        return (leaf, *authorities)

    def _located(self, path: Path, good: Path, access: Access, label: str) -> Path:
        """Write into each certificate where its issuer's is to be had, and deliver that there.

        An issuer that a good document has too is delivered where that one's is.
        """
        if len(path) == 1:
            return path
        issuers = self._located(path[1:], good, GOOD, label)
        usual = access is GOOD and path[1:] == good[1 - len(path) :]
        file = common_name(path[1]) if usual else f"{label}-{len(path) - 1}"
        return (replace(path[0], ca_issuers=self._publish(file, issuers, access)), *issuers)

    def _publish(self, file: str, issuers: Path, access: Access) -> tuple[str, ...]:
        """Deliver the first of ``issuers``, and return the URLs that it is delivered at."""
        known = data.read("attested")["issuer-certificates"]
        path = known["path"].format(name=file)
        good = Delivery(lambda: self._authority.certificate(issuers))
        elsewhere = f"{self._address(True)}{quote(known['path'].format(name=common_name(issuers[0])))}"
        delivered = access.deliver(good, issuers, self._authority, elsewhere)
        count = self._setting.ca_issuers if access.urls is None else access.urls
        urls = []
        for host in known["hosts"][:count]:
            base, prefix = self._base(host, known["hosts"], elsewhere=access.elsewhere)
            urls.append(f"{base}{prefix}{quote(path)}")
            self._deliveries.put(f"{prefix}{path}", delivered)
        return tuple(urls)

    def _revocation(self, issuer: str) -> tuple[str, ...]:
        row = self._setting.row["leaf"]
        ocsp = data.read("attested")["issuer-certificates"]["ocsp"]
        path = quote(row["crl_path"].format(name=issuer))
        lists = ["".join((*self._base(host, row["crl_hosts"]), path)) for host in row["crl_hosts"]]
        return ("".join((*self._base(ocsp, [ocsp]), "/ocsp")), *lists)

    def _base(self, host: str, hosts: Sequence[str], *, elsewhere: bool = False) -> tuple[str, str]:
        """Return how a URL on ``host`` begins, and what its path begins with.

        On the test's server, the first of ``hosts`` has the paths that it has in
        life; the others have their names before them.
        """
        if self._setting.aia == MICROSOFT and not elsewhere:
            return f"http://{host}", ""
        return self._address(elsewhere), "" if host == hosts[0] else f"/{host}"


def _subject(names: Name, common_name: str) -> Name:
    return (*names, (COMMON_NAME, common_name))
