"""The server that a test holds: a ``pytest_httpserver.HTTPServer`` that answers as IMDS does."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from random import Random
from threading import Lock
from types import TracebackType
from typing import Any

from pytest_httpserver import HTTPServerError

from pytest_imds.answers import AnsweringServer
from pytest_imds.children import Children
from pytest_imds.clock import Clock
from pytest_imds.errors import ImdsUsageError
from pytest_imds.events.fleet import Fleet
from pytest_imds.events.scheduled import ScheduledEvents
from pytest_imds.faults.faults import Faults
from pytest_imds.host import Host
from pytest_imds.limits import Limits
from pytest_imds.listener import ADDRESS, Listener
from pytest_imds.network import child, environment
from pytest_imds.network.redirect import Redirect, routed
from pytest_imds.network.trap import Trap
from pytest_imds.service import versions
from pytest_imds.shared import Shared
from pytest_imds.trust.attestation import Attestation
from pytest_imds.trust.issuer import TokenIssuer
from pytest_imds.trust.setting import Setting
from pytest_imds.vm.model import Vm
from pytest_imds.vm.provider import generate

# How long a program may take unless the test says otherwise.
PROGRAM_S = 60.0


class ImdsServer(AnsweringServer):
    """A local HTTP server that answers as the Azure Instance Metadata Service of one VM.

    It is a :class:`pytest_httpserver.HTTPServer`: whatever a test registers
    (``expect_request`` and its kin) answers first, and IMDS answers the rest. It
    listens on 127.0.0.1 alone.

    Args:
        profile: what kind of VM it is, one of ``fixtures_data/profiles.json``.
        seed: the same seed gives the same VM.
        newest: the newest api-version that the service has; None is all of them.
        chain: the authorities that sign attested documents: ``2024`` or ``2026``.
        aia: where their certificates are to be had: ``loopback``, ``dual``, ``microsoft``, ``dead``,
            ``none``, ``html`` or ``wrong``; empty is what the chain has.
        digest_oid: what attested documents call their digest: ``sha256WithRSAEncryption``, as the
            service does, or ``sha256``.
        identity_v2: whether the service has IMDSv2, which makes certificates of managed identities.
        rate_limit: whether the service refuses more requests a second than Azure answers.
        fleet: the other VMs that its VM belongs to; None is one that stands alone.
        clock: the time it lives in, if it has no fleet; a new clock by default.
        port: the port to listen on; 0 is a free one.
        shared: what to share with the servers before and after this one.
        knobs: what the VM shall be like, on top of the profile.

    Raises:
        ImdsUsageError: no such profile, knob, api-version, chain, mode or digest, or no VM is like that.

    Example:
        >>> with ImdsServer("windows", seed=7) as server:
        ...     server.url.startswith("http://127.0.0.1:"), server.vm.os_type
        (True, 'Windows')
    """

    def __init__(
        self,
        profile: str = "linux",
        *,
        seed: int | str = 0,
        newest: str | None = None,
        chain: str = "2024",
        aia: str = "",
        digest_oid: str = "sha256WithRSAEncryption",
        identity_v2: bool = False,
        rate_limit: bool = False,
        fleet: Fleet | None = None,
        clock: Clock | None = None,
        port: int = 0,
        shared: Shared | None = None,
        **knobs: object,
    ) -> None:
        versions.check(newest)
        for option, value in (("identity_v2", identity_v2), ("rate_limit", rate_limit)):
            if not isinstance(value, bool):
                raise ImdsUsageError.wrong_value(option, value, "True or False")
        if fleet and clock:
            raise ImdsUsageError.wrong_value("clock", clock, "left out: a server of a fleet lives in the fleet's time")
        self._shared = shared or Shared()
        setting, last = Setting(chain, aia, digest_oid), versions.supported(newest)[-1]
        vm = generate(self._shared.fake, profile, seed, knobs, fleet.size if fleet else None)
        fleet = fleet or Fleet(clock)
        fleet.join()
        clock, authority = fleet.clock, self._shared.authority
        host = Host(
            vm=vm,
            attestation=Attestation(vm, clock, last, setting, authority, self._base),
            identity=TokenIssuer(vm, clock, Random(f"{seed} tokens {vm.vm_id}"), authority, self._base),
            events=ScheduledEvents(vm, fleet, Random(f"{seed} events {vm.vm_id}")),
            clock=clock,
            random=Random(f"{seed} {vm.vm_id}"),
            authority=authority,
            newest=newest,
            identity_v2=identity_v2,
            limits=Limits(Lock()) if rate_limit else None,
        )
        super().__init__(host, f"{seed} faults", port)
        self.trap: Trap | None = None
        self._children = Children(self, self._outages.mind_the_door)

    @property
    def url(self) -> str:
        """The address of the service, without a slash at the end, such as ``http://127.0.0.1:8080``."""
        return f"http://{ADDRESS}:{self.port}"

    @property
    def newest(self) -> str | None:
        """The newest api-version that the service has; None is all of them."""
        return self._host.newest

    @property
    def vm(self) -> Vm:
        """The VM whose metadata is served."""
        return self._host.vm

    @property
    def attestation(self) -> Attestation:
        """The attested documents of the VM, and the root of trust that they lead to."""
        return self._host.attestation

    @property
    def identity(self) -> TokenIssuer:
        """The tokens of the VM's managed identities, and what they are verified with."""
        return self._host.identity

    @property
    def events(self) -> ScheduledEvents:
        """The scheduled events that the VM sees."""
        return self._host.events

    @property
    def faults(self) -> Faults:
        """What breaks, and when."""
        return self._outages.faults

    @property
    def clock(self) -> Clock:
        """The time of the service."""
        return self._host.clock

    def start(self) -> None:
        """Listen, and answer.

        Raises:
            HTTPServerError: the server runs already.
            ImdsPortError: the port is taken.
        """
        if self.is_running():
            raise HTTPServerError("Server is already running")
        listener = self._shared.listener(self.port)
        listener.attach(self)
        self.server, self.port = listener, listener.port
        self._outages.mind_the_door()

    def stop(self) -> None:
        """Stop listening: a client is refused from here on.

        Raises:
            HTTPServerError: the server does not run.
        """
        self._end(self._listener().shutdown())

    def release(self) -> None:
        """Leave the listening socket to the next server, and close this one's connections."""
        if self.is_running():
            self._end(self._listener().detach())
        self.attestation.close()

    def env(self, environ: Mapping[str, str] | None = None) -> dict[str, str]:
        """Return the environment in which a client of this server finds it, and no other metadata service.

        The variables by which SDKs take the address are set, those by which they take the machine for something else
        than a VM are removed, and ``NO_PROXY`` names the addresses.

        Args:
            environ: the environment to change; that of this process by default.

        Source: ``fixtures_data/environment.json``.
        """
        return self._environ(environ, self.url)

    def redirected(self) -> AbstractContextManager[None]:
        """Lead clients of this process that connect to 169.254.169.254 or 168.63.129.16 to this server, for a block.

        That is for code that connects through Python's sockets, asyncio or uvloop; what other C code connects is not
        seen. With ``aia="microsoft"``, HTTP to Microsoft's hosts of certificates leads here as well.

        Raises:
            ImdsGuardError: in the client, if it wants to connect to another port of these addresses.
        """
        return routed(Redirect(lambda: (ADDRESS, self.port), self._names))

    def popen(self, args: Any, **options: Any) -> subprocess.Popen[Any]:
        """Start a program in a network of its own, where 169.254.169.254 is this server; Linux alone has such networks.

        There is no other network but the loopback interface of its own: this server is at ``url`` as well, and
        servers of other programs are not there. The program, and what it has started, is killed when this server
        stops.

        Args:
            args: what :class:`subprocess.Popen` takes.
            options: what else :class:`subprocess.Popen` takes. ``env`` is that of this process by default; either way,
                variables that would lead the program elsewhere are taken out.

        Raises:
            ImdsNamespaceError: the system does not allow it; the message says how to allow it.
            OSError: the program cannot be started, as :class:`subprocess.Popen` has it.
            HTTPServerError: this server does not run.
        """
        self._listener()
        options["env"] = self._environ(options.get("env"), None)
        return self._children.start(args, self.port, self._names, options)

    def run(
        self,
        args: Any,
        *,
        input: Any = None,
        capture_output: bool = False,
        timeout: float | None = PROGRAM_S,
        check: bool = False,
        **options: Any,
    ) -> subprocess.CompletedProcess[Any]:
        """Run a program in a network of its own, as ``popen`` starts it, and wait for its end.

        Args:
            args: what :func:`subprocess.run` takes.
            input: what it reads.
            capture_output: whether to return what it writes.
            timeout: how many seconds it may take; None is any number.
            check: whether to raise an error if it fails.
            options: what else :func:`subprocess.run` takes.

        Raises:
            subprocess.TimeoutExpired: it has taken longer, and was killed.
            subprocess.CalledProcessError: ``check``, and its exit status is not 0.
            ImdsNamespaceError: as ``popen``, and so are ``OSError`` and ``HTTPServerError``.
        """
        piped = child.piped(options, reads=input is not None, writes=capture_output)
        return child.finished(self.popen(args, **piped), given=input, timeout=timeout, check=check)

    def listeners(self) -> Sequence[Listener]:
        """Return where connections arrive: at ``url``, then in networks of programs; nowhere while stopped."""
        return [self.server, *self._children.listeners] if isinstance(self.server, Listener) else []

    def _environ(self, given: Mapping[str, str] | None, url: str | None) -> dict[str, str]:
        proxy = self.url if self.trap else None
        return environment.of_client(os.environ if given is None else given, url, self._names, proxy)

    @property
    def _names(self) -> Sequence[str]:
        return self.attestation.issuer_hosts

    def _base(self, elsewhere: bool) -> str:
        """Return how URLs on this server begin; a host of another name is the same machine."""
        return f"http://localhost:{self.port}" if elsewhere else self.url

    def _end(self, unanswered: list[str]) -> None:
        self.server = None
        self._outages.leave()
        unanswered += self._children.end()
        for request in unanswered:
            self.add_assertion(f"{request} was still being answered when the test ended")

    def _listener(self) -> Listener:
        if not isinstance(self.server, Listener):
            raise HTTPServerError("Server is not running")
        return self.server

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop, and raise what went wrong inside the server if nothing else is being raised."""
        super().__exit__(exc_type, exc_value, traceback)
        self.attestation.close()
        if exc_type is None:
            self.check()
