"""The server that a test holds: a ``pytest_httpserver.HTTPServer`` that answers as IMDS does."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from threading import Lock
from types import TracebackType
from typing import Any

from pytest_httpserver import HTTPServer, HTTPServerError
from werkzeug import Request, Response
from werkzeug.exceptions import HTTPException

from pytest_imds import wsgi
from pytest_imds.clock import Clock
from pytest_imds.errors import ImdsServerError, ImdsUsageError, never_fired
from pytest_imds.events.fleet import Fleet
from pytest_imds.events.scheduled import ScheduledEvents
from pytest_imds.faults.faults import Faults
from pytest_imds.host import Host
from pytest_imds.limits import Limits
from pytest_imds.listener import ADDRESS, Answer, Listener
from pytest_imds.outage import Outages
from pytest_imds.problems import Met, Problem
from pytest_imds.service import replies, versions
from pytest_imds.service.handle import handle
from pytest_imds.shared import Shared
from pytest_imds.trust.attestation import Attestation
from pytest_imds.trust.issuer import TokenIssuer
from pytest_imds.trust.setting import Setting
from pytest_imds.vm.model import Vm
from pytest_imds.vm.provider import generate


class ImdsServer(HTTPServer):
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

    DEFAULT_LISTEN_HOST = ADDRESS

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
        super().__init__(ADDRESS, port, threaded=True)
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
        self._host = Host(
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
        self._outages = Outages(self._host, f"{seed} faults", self._running)
        self._met = Met()

    @property
    def url(self) -> str:
        """The address of the service, without a slash at the end, such as ``http://127.0.0.1:8080``."""
        return f"http://{ADDRESS}:{self.port}"

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

    def _base(self, elsewhere: bool) -> str:
        """Return how URLs on this server begin; a host of another name is the same machine."""
        return f"http://localhost:{self.port}" if elsewhere else self.url

    def _end(self, unanswered: list[str]) -> None:
        self.server = None
        self._outages.leave()
        for request in unanswered:
            self.add_assertion(f"{request} was still being answered when the test ended")

    def _listener(self) -> Listener:
        listener = self._running()
        if listener is None:
            raise HTTPServerError("Server is not running")
        return listener

    def _running(self) -> Listener | None:
        return self.server if isinstance(self.server, Listener) else None

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

    def check(self) -> None:
        """Raise all that went wrong inside the server, in one message.

        Raises:
            ImdsServerError: assertions and exceptions of handlers, requests that broke off.
        """
        if problems := self.problems():
            raise ImdsServerError.during_test(problems)

    def problems(self, *, judged: bool = True) -> list[Problem]:
        """Return all that went wrong inside the server, each with the requests that met it, and forget it.

        Args:
            judged: whether a fault that has never fired is among it.
        """
        problems: list[Exception | str] = [*self.assertions, *self.handler_errors]
        self.clear_assertions()
        self.clear_handler_errors()
        if idle := self.faults.idle() if judged else []:
            arrived = [wsgi.asked(request).line for request, _ in self.log]
            problems += [never_fired(fault, arrived) for fault in idle]
        return self._met.by(problems)

    def report(self, problem: BaseException, request: str) -> None:
        """Take note of a problem, and of the request that met it."""
        self._met.note(problem, request)
        if not any(problem is noted for noted in (*self.assertions, *self.handler_errors)):
            self.handler_errors.append(problem)  # type: ignore[arg-type]  # pytest.fail() raises a BaseException

    def answer(self, environ: dict[str, Any]) -> Answer:
        """Answer a request: the body, the status line and the headers."""
        with Request(environ) as request:
            return self._or_error(request, self.application).get_wsgi_response(environ)

    def _or_error(self, request: Request, answer: Callable[[Request], Response]) -> Response:
        try:
            return answer(request)
        except HTTPException as error:
            # A handler that aborts has failed; a request that broke off has not met one.
            if any(error is noted for noted in self.handler_errors):
                self.report(error, f"{request.method} {request.environ['RAW_URI']}")
            return error.get_response(request.environ)

    def application(self, request: Request) -> Response:
        """Answer a request and log it; a request whose handler fails is not logged.

        Releases of pytest-httpserver differ in what theirs takes and returns.
        """
        wsgi.read_body(request)
        if self._outages.faults.planned:
            response = self._outages.answer(wsgi.asked(request), lambda: self._or_error(request, self.dispatch))
        else:
            response = self.dispatch(request)
        self.log.append((request, response))
        return response

    def refusal(self, error: str) -> bytes:
        """Return the bytes that refuse what is no HTTP request."""
        return wsgi.last_words(replies.error(self._host, error))

    def dispatch(self, request: Request) -> Response:
        """Let what the test has registered answer, then IMDS.

        Ordered handlers keep their order among themselves; a request that none
        of them expects goes past them.
        """
        if self.permanently_failed or any(handler.matcher.match(request) for handler in self.ordered_handlers):
            return super().dispatch(request)
        handler = self.oneshot_handlers.match(request)
        if handler is not None:
            self.oneshot_handlers.remove(handler)
            self._update_waiting_result()
        else:
            handler = self.handlers.match(request)
        if handler is None:
            return self._imds(request)
        try:
            answered: Any = handler.respond(request)
        except AssertionError as error:
            self.add_assertion(error)
            raise
        except Exception as error:
            self.handler_errors.append(error)
            raise
        return answered if isinstance(answered, Response) else Response(answered)

    def _imds(self, request: Request) -> Response:
        return wsgi.response(handle(wsgi.asked(request), self._host), self.clock)
