"""The server that a test holds: a ``pytest_httpserver.HTTPServer`` that answers as IMDS does."""

from __future__ import annotations

from functools import cached_property
from random import Random
from types import TracebackType
from typing import TYPE_CHECKING, Any

from pytest_httpserver import HTTPServer, HTTPServerError
from werkzeug import Request, Response
from werkzeug.datastructures import Headers
from werkzeug.exceptions import HTTPException

from pytest_imds.clock import Clock
from pytest_imds.errors import ImdsServerError
from pytest_imds.host import Host
from pytest_imds.listener import ADDRESS, Answer, Listener
from pytest_imds.service import message, replies, versions
from pytest_imds.service.handle import handle
from pytest_imds.vm.model import Vm
from pytest_imds.vm.provider import generate, generator

if TYPE_CHECKING:
    from faker import Generator


class Shared:
    """What servers that follow one another share, because it takes long to make."""

    def __init__(self) -> None:
        self._listener: Listener | None = None

    @cached_property
    def fake(self) -> Generator:
        """The Faker generator; every VM seeds it anew."""
        return generator()

    def listener(self, port: int) -> Listener:
        """Return the listener, a new one if there is none or a test has stopped it."""
        if self._listener is None or not self._listener.alive:
            self._listener = Listener(port)
        return self._listener

    def close(self) -> None:
        """Stop listening."""
        if self._listener is not None:
            self._listener.shutdown()


class CompleteResponse(Response):
    """A response of the service: its headers are all there, in the service's order."""

    def get_wsgi_headers(self, environ: dict[str, Any]) -> Headers:
        """Return the headers as they are; Werkzeug would look for some to add or correct."""
        return self.headers


class ImdsServer(HTTPServer):
    """A local HTTP server that answers as the Azure Instance Metadata Service of one VM.

    It is a :class:`pytest_httpserver.HTTPServer`: whatever a test registers
    (``expect_request`` and its kin) answers first, and IMDS answers the rest. It
    listens on 127.0.0.1 alone.

    Args:
        profile: what kind of VM it is, one of ``fixtures_data/profiles.json``.
        seed: the same seed gives the same VM.
        newest: the newest api-version that the service has; None is all of them.
        port: the port to listen on; 0 is a free one.
        shared: what to share with the servers before and after this one.
        knobs: what the VM shall be like, on top of the profile.

    Raises:
        ImdsUsageError: no such profile, knob or api-version, or no VM is like that.

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
        port: int = 0,
        shared: Shared | None = None,
        **knobs: object,
    ) -> None:
        super().__init__(ADDRESS, port, threaded=True)
        versions.check(newest)
        self._shared = shared or Shared()
        self._host = Host(generate(self._shared.fake, profile, seed, knobs), newest, random=Random(seed))
        self._met_by: list[tuple[Exception, str]] = []

    @property
    def url(self) -> str:
        """The address of the service, without a slash at the end, such as ``http://127.0.0.1:8080``."""
        return f"http://{ADDRESS}:{self.port}"

    @property
    def vm(self) -> Vm:
        """The VM whose metadata is served."""
        return self._host.vm

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

    def stop(self) -> None:
        """Stop listening: a client is refused from here on.

        Raises:
            HTTPServerError: the server does not run.
        """
        self._listener().shutdown()
        self.server = None

    def release(self) -> None:
        """Leave the listening socket to the next server, and close this one's connections."""
        if self.is_running():
            for request in self._listener().detach():
                self.add_assertion(f"{request} was still being answered when the test ended")
            self.server = None

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
        if exc_type is None:
            self.check()

    def check(self) -> None:
        """Raise all that went wrong inside the server, in one message.

        Raises:
            ImdsServerError: assertions and exceptions of handlers, requests that broke off.
        """
        problems: list[Exception | str] = [*self.assertions, *self.handler_errors]
        self.clear_assertions()
        self.clear_handler_errors()
        if problems:
            requests = {id(problem): request for problem, request in self._met_by}
            in_order = sorted(problems, key=lambda problem: [*requests, id(problem)].index(id(problem)))
            raise ImdsServerError.during_test([(problem, requests.get(id(problem))) for problem in in_order])

    def report(self, problem: Exception, request: str) -> None:
        """Take note of a problem, and of the request that met it."""
        self._met_by.append((problem, request))
        if not any(problem is noted for noted in (*self.assertions, *self.handler_errors)):
            self.handler_errors.append(problem)

    def answer(self, environ: dict[str, Any]) -> Answer:
        """Answer a request: the body, the status line and the headers."""
        with Request(environ) as request:
            try:
                response = self.application(request)
            except HTTPException as error:
                response = error.get_response(environ)
        return response.get_wsgi_response(environ)

    def application(self, request: Request) -> Response:
        """Answer a request and log it; a request whose handler fails is not logged.

        Releases of pytest-httpserver differ in what theirs takes and returns.
        """
        request.get_data()
        response = self.dispatch(request)
        self.log.append((request, response))
        return response

    def refusal(self, error: str) -> bytes:
        """Return the bytes that refuse what is no HTTP request."""
        reply = replies.error(self._host, error)
        headers = "".join(f"{name}: {value}\r\n" for name, value in reply.headers)
        response = Response(status=reply.status)
        return f"HTTP/1.1 {response.status}\r\n{headers}Connection: close\r\n\r\n".encode() + reply.body

    def dispatch(self, request: Request) -> Response:
        """Let what the test has registered answer, then IMDS."""
        if self.handlers or self.oneshot_handlers or self.ordered_handlers or self.permanently_failed:
            return super().dispatch(request)
        return self._imds(request)

    def respond_nohandler(self, request: Request, extra_message: str = "") -> Response:
        """Let IMDS answer what none of the test's handlers expects.

        A request that an ordered handler expects later is out of order all the same.
        """
        if any(handler.matcher.match(request) for handler in self.ordered_handlers):
            return super().respond_nohandler(request, extra_message)
        self.permanently_failed = False
        return self._imds(request)

    def _imds(self, request: Request) -> Response:
        environ = request.environ
        path = environ["PATH_INFO"].encode("latin-1").decode(errors="replace")
        headers = {name[5:].replace("_", "-").lower(): value for name, value in environ.items() if name[:5] == "HTTP_"}
        asked = message.Request(environ["REQUEST_METHOD"], path, environ["QUERY_STRING"], headers, request.get_data())
        reply = handle(asked, self._host)
        return CompleteResponse([reply.body] if reply.body else [], reply.status, list(reply.headers))
