"""Answers requests: what a test has registered first, then IMDS; and remembers what went wrong meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any

from pytest_httpserver import HTTPServer
from werkzeug import Request, Response
from werkzeug.exceptions import HTTPException

from pytest_imds import wsgi
from pytest_imds.errors import ImdsServerError, never_fired
from pytest_imds.host import Host
from pytest_imds.listener import ADDRESS, Answer, Listener
from pytest_imds.outage import Outages
from pytest_imds.problems import Met, Problem
from pytest_imds.service import replies
from pytest_imds.service.handle import handle
from pytest_imds.traffic.exchange import Exchange
from pytest_imds.traffic.matching import Wanted, mismatch
from pytest_imds.traffic.overhearing import hear, overheard
from pytest_imds.traffic.record import Record

# Where a request has its entry in the record.
ENTRY = "imds.entry"


class AnsweringServer(HTTPServer):
    """A :class:`pytest_httpserver.HTTPServer` that answers as IMDS what no handler of the test does.

    Args:
        host: what IMDS answers from.
        seed: what the chance of faults comes from.
        port: the port to listen on; 0 is a free one.
    """

    DEFAULT_LISTEN_HOST = ADDRESS

    def __init__(self, host: Host, seed: str, port: int) -> None:
        self.record = Record(host.clock)
        super().__init__(ADDRESS, port, threaded=True)
        self._host = host
        self._outages = Outages(host, seed, self.listeners)
        self._met = Met()

    def listeners(self) -> Sequence[Listener]:
        """Return where its connections arrive; nowhere while it does not run."""
        raise NotImplementedError

    @property
    def requests(self) -> tuple[Exchange, ...]:
        """The requests that have arrived, in order, each with its reply as far as that has left.

        The last 2,000 are kept, and fewer if they are more than 32 MiB; ``record.dropped`` says how many are not.
        """
        return self.record.exchanges()

    def assert_requested(
        self,
        path: str,
        *,
        times: int | None = None,
        query: Mapping[str, str | None] | None = None,
        since: datetime | None = None,
    ) -> tuple[Exchange, ...]:
        """Assert that requests have arrived, and return them.

        Args:
            path: a glob of paths, such as ``/metadata/instance*``; repeated slashes count for nothing.
            times: how many there have to be; None is one or more.
            query: parameters that they have, with their values; with None as its value, one that they do not have.
            since: when the first of them may have arrived, such as ``clock.now`` was at some moment.

        Raises:
            AssertionError: it is not so many; the message has the nearest requests, and why each is none of them.
            ImdsUsageError: an argument is no such thing.
        """
        __tracebackhide__ = True
        wanted, exchanges = Wanted(path, query or {}, since), self.requests
        if wrong := mismatch(wanted, times, exchanges, self.record.dropped):
            raise AssertionError(wrong)
        return tuple(exchange for exchange in exchanges if wanted.meets(exchange))

    def assert_not_requested(
        self, path: str, *, query: Mapping[str, str | None] | None = None, since: datetime | None = None
    ) -> None:
        """Assert that no such request has arrived; the arguments are those of ``assert_requested``.

        Raises:
            AssertionError: one has; or requests are kept no more that may have been.
            ImdsUsageError: an argument is no such thing.
        """
        __tracebackhide__ = True
        self.assert_requested(path, times=0, query=query, since=since)

    @property
    def log(self) -> list[tuple[Request, Response]]:
        """The same as pytest-httpserver has it; one whose handler has failed is not there."""
        logged = [(entry.environ, entry.response) for entry in self.record.entries()]
        return [(environ["werkzeug.request"], response) for environ, response in logged if response is not None]

    @log.setter
    def log(self, emptied: list[tuple[Request, Response]]) -> None:
        self.record.clear()  # pytest-httpserver sets it to begin anew, and for nothing else

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
        if idle := self._outages.faults.idle() if judged else []:
            arrived = [exchange.line for exchange in self.requests]
            problems += [never_fired(fault, arrived) for fault in idle]
        return self._met.by(problems)

    def report(self, problem: BaseException, request: str) -> None:
        """Take note of a problem, and of the request that met it."""
        self._met.note(problem, request)
        if not any(problem is noted for noted in (*self.assertions, *self.handler_errors)):
            self.handler_errors.append(problem)  # type: ignore[arg-type]  # pytest.fail() raises a BaseException

    def answer(self, environ: dict[str, Any]) -> Answer:
        """Answer a request: the body, the status line and the headers."""
        entry = environ[ENTRY] = self.record.arrived(environ)
        with Request(environ) as request:
            return overheard(partial(self._made, request), entry, bodiless=request.method == "HEAD")

    def _made(self, request: Request) -> Answer:
        return self._or_error(request, self.application).get_wsgi_response(request.environ)

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
        entry = request.environ[ENTRY]
        if wsgi.has_body(request):
            self.record.keeps(entry, len(wsgi.read_body(request)))
        if self._outages.faults.planned:
            dispatch = partial(self._or_error, request, self.dispatch)
            response = self._outages.answer(wsgi.asked(request), dispatch, entry.hit)
        else:
            response = self.dispatch(request)
        entry.response = response
        return response

    def refusal(self, error: str, peer: tuple[str, int]) -> bytes:
        """Return the bytes that refuse what ``peer`` has sent, which is no HTTP request."""
        sent = wsgi.last_words(replies.error(self._host, error))
        hear(sent, self.record.arrived({"REMOTE_ADDR": peer[0], "REMOTE_PORT": peer[1]}))
        return sent

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
        return wsgi.response(handle(wsgi.asked(request), self._host), self._host.clock)
