"""The pytest plugin: options, markers, fixtures. PYTEST_DONT_REWRITE.

It stays thin and imports nothing heavy: every test run of everybody who has the
package installed loads it. (The capital letters keep pytest from rewriting
assertions that are not there.)
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from pytest_imds import config as configuration

if TYPE_CHECKING:
    from pytest_imds.audit.audit import Audit
    from pytest_imds.clock import Clock
    from pytest_imds.factory import ServerFactory
    from pytest_imds.faults.faults import Faults
    from pytest_imds.server import ImdsServer
    from pytest_imds.shared import Shared
    from pytest_imds.trust.attestation import Attestation
    from pytest_imds.trust.forgeries import Forgery
    from pytest_imds.vm.model import Vm

# The servers of a test.
SERVERS = pytest.StashKey["ServerFactory"]()
SHARED = pytest.StashKey["Shared"]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the options."""
    configuration.add_options(parser)


def pytest_configure(config: pytest.Config) -> None:
    """Read the options, declare the markers."""
    options = configuration.read_options(config)
    if options.chaos is not None:
        from pytest_imds import chaotic

        config.pluginmanager.register(chaotic, "imds chaos")
    if options.guard:
        from pytest_imds import upkeep

        upkeep.guard(config)
    if options.report is not None:
        from pytest_imds import reporting

        reporting.begin(config, options.report)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Give a worker of xdist the seed of chaos, which may be a new one, and the width of the terminal that it lacks."""
    node.workerinput[configuration.CHAOS] = node.config.stash[configuration.OPTIONS].chaos
    node.workerinput[configuration.WIDTH] = configuration.width(node.config)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Stop listening."""
    shared = config.stash.get(SHARED, None)
    if shared is not None:
        shared.close()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let a marker act on a test that does not name its fixture."""
    for item in items:
        if isinstance(item, pytest.Function):
            item.fixturenames = configuration.fixtures(item)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test that asks for ``imds_forgery`` once for each forgery."""
    if "imds_forgery" in metafunc.fixturenames:
        from pytest_imds import markers

        with _plainly(metafunc.definition):
            forgeries = markers.forgeries(metafunc.definition)
        metafunc.parametrize("imds_forgery", forgeries, ids=str, indirect=True)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Say on failure what the servers of the test have seen."""
    report = yield
    servers = item.stash.get(SERVERS, None)
    if servers is not None:
        from pytest_imds import failures

        failures.tell(report, item, call, servers)
        if call.when == "teardown":
            if item.config.stash[configuration.OPTIONS].report is not None:
                from pytest_imds import reporting

                reporting.attach(report, item, servers)
            del item.stash[SERVERS]  # pytest keeps every item, and what it holds, to the end of the run
    return report


@contextmanager
def _plainly(item: pytest.Item) -> Iterator[None]:
    """Fail with the message of an error alone, at the user's line: our frames would tell nobody anything."""
    from pytest_imds import markers
    from pytest_imds.errors import ImdsAuditError, ImdsServerError, ImdsUsageError

    try:
        yield
    except ImdsUsageError as error:
        raise pytest.fail.Exception(f"{markers.where(item, error)}: {error}", pytrace=False) from None
    except (ImdsServerError, ImdsAuditError) as error:
        raise pytest.fail.Exception(str(error), pytrace=False) from None


def _shared(config: pytest.Config) -> Shared:
    """Return what the servers of this session share: the listening socket, Faker.

    A session fixture would do as well, but pytest keeps a finalizer of every test that asks for one.
    """
    from pytest_imds.shared import Shared

    return config.stash.setdefault(SHARED, Shared(config.stash[configuration.OPTIONS].authority_keys))


@pytest.fixture
def _imds_servers(request: pytest.FixtureRequest) -> Iterator[ServerFactory]:
    """Start the servers of a test, and say when it ends what went wrong inside any of them."""
    from pytest_imds import markers
    from pytest_imds.clock import Clock
    from pytest_imds.factory import ServerFactory

    item = request.node
    with _plainly(item):
        asked = markers.asked(item)
    servers = ServerFactory(_shared(request.config), Clock(), asked)
    item.stash[SERVERS] = servers
    with ExitStack() as stack:
        if asked.chaos is not None:
            with _plainly(item):
                stack.enter_context(servers.virtual_time())
        yield servers
    with _plainly(item):
        servers.close()


@pytest.fixture
def imds_server(request: pytest.FixtureRequest, _imds_servers: ServerFactory) -> ImdsServer:
    """A local HTTP server that answers as the Azure Instance Metadata Service, for a VM of this test's own.

    An ``ImdsServer``, which is a ``pytest_httpserver.HTTPServer``: ``url`` is where it
    is, and what the test registers (``expect_request`` ...) answers before IMDS does. The
    markers ``imds_vm`` and ``imds`` say what it shall be like. When the test ends,
    whatever went wrong inside the server fails it.
    """
    with _plainly(request.node):
        return _imds_servers.first()


@pytest.fixture
def make_imds_server(_imds_servers: ServerFactory) -> ServerFactory:
    """Starts further servers, each for a VM of its own, or a fleet of them: a ``ServerFactory``.

    ``make_imds_server("windows", location="westeurope")`` returns an ``ImdsServer``, and
    ``make_imds_server("scale-set", count=3)`` a list of three whose VMs belong together. The
    marker ``imds`` says what the service is like; when the test ends, whatever went wrong
    inside a server fails it.
    """
    return _imds_servers


@pytest.fixture
def imds_vm(imds_server: ImdsServer) -> Vm:
    """The VM that ``imds_server`` serves: a ``Vm``, generated anew for every test.

    The marker ``imds_vm`` says what it shall be like; attributes that the test
    assigns are served by the next request. A test always has the same VM, as long as
    its id and ``--imds-seed`` are the same.
    """
    return imds_server.vm


@pytest.fixture
def imds_attested(imds_server: ImdsServer) -> Attestation:
    """The attested documents of ``imds_vm``, and the test root of trust that they lead to: an ``Attestation``.

    ``document()`` and ``forge(name)`` make good documents and forgeries,
    ``serve(forgery)`` lets the server answer with one, ``root_pem`` and ``root_path``
    are what a verifier has to trust, and ``verify()`` is the reference verifier. The
    marker ``imds`` says how documents are signed.
    """
    return imds_server.attestation


@pytest.fixture
def imds_faults(imds_server: ImdsServer) -> Faults:
    """What breaks at ``imds_server``: a ``Faults`` with a method for each fault, such as ``gone(window=70)``.

    The marker ``imds_fault`` plans the same by name. ``fired`` is what has been broken; a
    fault that was planned and never fired fails the test.
    """
    return imds_server.faults


@pytest.fixture
def imds_clock(request: pytest.FixtureRequest, _imds_servers: ServerFactory) -> Iterator[Clock]:
    """Virtual time for this test: a ``Clock`` that goes on by itself wherever the code under test would only wait.

    ``time.sleep``, ``time.monotonic``, ``time.time``, threads and asyncio tell and keep its
    time, as the servers of the test do. ``advance(seconds)`` moves it on, ``now`` says what
    time it is; when the test ends, all is as it was.
    """
    with ExitStack() as stack:
        with _plainly(request.node):
            clock = stack.enter_context(_imds_servers.virtual_time())
        yield clock


@pytest.fixture
def imds_redirect(
    request: pytest.FixtureRequest, imds_server: ImdsServer, monkeypatch: pytest.MonkeyPatch
) -> Iterator[ImdsServer]:
    """Leads clients of this process that connect to 169.254.169.254 or 168.63.129.16 to ``imds_server``, and yields it.

    That is for unmodified clients that connect through Python's sockets, asyncio or
    uvloop; programs in other languages are started with ``imds_server.run()``. The
    environment is that of ``imds_server.env()``. ``@pytest.mark.imds(redirect=True)`` does
    the same for a test that does not name the fixture.
    """
    from pytest_imds import upkeep

    upkeep.enter(monkeypatch, imds_server.env())
    upkeep.keep(request.config)
    with imds_server.redirected():
        yield imds_server


@pytest.fixture
def imds_audit(
    request: pytest.FixtureRequest,
    imds_server: ImdsServer,
    _imds_servers: ServerFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Audit]:
    """Sees that clients keep the rules of IMDS for its callers: an ``Audit``, whose ``findings`` say what they broke.

    A test that passed fails for it when it ends, or warns. The marker ``imds`` says which rules: ``audit=[...]``,
    ``ignore=[...]``. While there is an audit, ``HTTP_PROXY`` names a proxy that no client of IMDS may take.
    """
    from pytest_imds import markers, upkeep
    from pytest_imds.audit.audit import Audit

    item = request.node
    with _plainly(item):
        audit = Audit(_imds_servers.started, **markers.audited(item))
    if audit.looks_at_proxies:
        upkeep.enter(monkeypatch, _imds_servers.trap(imds_server))
    yield audit
    if _imds_servers.judged:  # a test that failed has enough to tell
        with _plainly(item):
            audit.judge(str(request.path), (item.reportinfo()[1] or 0) + 1)


@pytest.fixture
def _imds_namespace(request: pytest.FixtureRequest) -> None:
    """Skip a test that starts programs in networks of their own where the system does not allow that."""
    from pytest_imds import markers
    from pytest_imds.network import child

    with _plainly(request.node):
        markers.check_namespace(request.node)
    if obstacle := child.obstacle():
        pytest.skip(obstacle)


@pytest.fixture
def imds_forgery(request: pytest.FixtureRequest) -> Forgery:
    """One ``Forgery`` after another: the test runs once for each that there is.

    The marker ``imds_forgeries`` narrows them.
    """
    if not hasattr(request, "param"):
        pytest.fail(
            "imds_forgery runs a test once for each forgery, so it has to be an argument of a test function or of a"
            " fixture; a test of unittest, and getfixturevalue(), come too late for that",
            pytrace=False,
        )
    forgery: Forgery = request.param
    return forgery
