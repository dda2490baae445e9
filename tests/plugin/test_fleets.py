"""``make_imds_server``: further servers and fleets of them, as a user's tests see them."""

from __future__ import annotations

import pytest

# An inner run forgets the modules that it is the first to import, and cryptography can be imported once alone.
import pytest_imds.trust.tokens  # noqa: F401
from tests.plugin.conftest import Run
from tests.plugin.fleets import passes, write


def test_without_count_it_makes_one_server_of_the_profile_and_the_knobs(pytester: pytest.Pytester, run: Run) -> None:
    passes(
        pytester,
        run,
        """
    def test_it(make_imds_server):
        server = make_imds_server("windows", location="westeurope", newest="2021-02-01")
        assert isinstance(server, ImdsServer)
        assert (server.vm.profile, server.vm.os_type, server.vm.location) == ("windows", "Windows", "westeurope")
        assert get(server) == (200, server.vm.vm_id)
        assert json.loads(get(server, "/metadata/versions")[1])["apiVersions"][-1] == "2021-02-01"
    """,
    )


def test_with_count_it_makes_a_fleet(pytester: pytest.Pytester, run: Run) -> None:
    passes(
        pytester,
        run,
        """
    @pytest.mark.parametrize("count", [1, 2, 3])
    def test_it(make_imds_server, count):
        servers = make_imds_server("scale-set", count=count)
        assert isinstance(servers, list)
        assert [get(server) for server in servers] == [(200, server.vm.vm_id) for server in servers]
        assert len({server.port for server in servers}) == len({server.vm.vm_id for server in servers}) == count
        assert len({server.vm.vm_scale_set_name for server in servers}) == 1
        servers[0].events.schedule("Preempt")
        assert len({get(server, EVENTS) for server in servers}) == 1
    """,
        count=3,
    )


def test_servers_are_made_beside_that_of_the_fixture(pytester: pytest.Pytester, run: Run) -> None:
    passes(
        pytester,
        run,
        """
    def test_it(make_imds_server, imds_server, imds_vm):
        others = [*make_imds_server(count=2), make_imds_server(), make_imds_server()]
        servers = [imds_server, *others]
        assert imds_server.vm is imds_vm
        assert len({server.port for server in servers}) == len({server.vm.vm_id for server in servers}) == 5
        assert len({server.vm.subscription_id for server in servers}) == 4
        imds_server.events.schedule("Reboot")
        assert [server.events.incarnation for server in servers] == [2, 1, 1, 1, 1]
        assert [get(server) for server in servers] == [(200, server.vm.vm_id) for server in servers]
    """,
    )


def test_all_servers_of_a_test_live_in_one_time_and_other_tests_in_theirs(pytester: pytest.Pytester, run: Run) -> None:
    passes(
        pytester,
        run,
        """
    import time

    @pytest.mark.parametrize("again", [1, 2])
    def test_it(make_imds_server, imds_server, again):
        servers = [imds_server, make_imds_server(), *make_imds_server(count=2)]
        assert {id(server.clock) for server in servers} == {id(imds_server.clock)}
        assert abs(imds_server.clock.time() - time.time()) < 60
        servers[2].clock.advance(100_000)
        assert servers[1].clock.time() - time.time() > 99_000
    """,
        count=2,
    )


def test_replies_and_tokens_of_a_fleet_are_told_apart(pytester: pytest.Pytester, run: Run) -> None:
    passes(
        pytester,
        run,
        """
    @pytest.mark.parametrize("profile", ["linux", "scale-set"])
    def test_requests(make_imds_server, profile):
        servers = make_imds_server(profile, count=3)
        assert len({request_id(server) for server in servers}) == 3

    @pytest.mark.parametrize("profile", ["linux", "scale-set"])
    def test_tokens(make_imds_server, profile):
        assert len({claims(server)["uti"] for server in make_imds_server(profile, count=3)}) == 3
    """,
        count=4,
    )


def test_the_marker_of_the_service_is_for_all_and_that_of_the_vm_is_not(pytester: pytest.Pytester, run: Run) -> None:
    passes(
        pytester,
        run,
        """
    @pytest.mark.imds(newest="2020-10-01", cloud="AzureUSGovernmentCloud", chain="2026", identity_v2=True)
    @pytest.mark.imds_vm("windows", name="mine")
    def test_it(make_imds_server, imds_server):
        servers = [imds_server, make_imds_server(), *make_imds_server("scale-set", count=2)]
        for server in servers:
            assert json.loads(get(server, "/metadata/versions")[1])["apiVersions"][-1] == "2020-10-01"
            assert server.vm.cloud == "AzureUSGovernmentCloud"
        assert [server.vm.profile for server in servers] == ["windows", "linux", "scale-set", "scale-set"]
        assert [server.vm.name == "mine" for server in servers] == [True, False, False, False]

    @pytest.mark.imds(newest="2020-10-01")
    def test_it_may_be_overruled(make_imds_server):
        server = make_imds_server(newest="2018-02-01", cloud="AzureChinaCloud")
        assert server.vm.cloud == "AzureChinaCloud"
        assert get(server)[0] != 200
    """,
        count=2,
    )


def test_the_profile_of_the_ini_file_is_that_of_every_server(pytester: pytest.Pytester, run: Run) -> None:
    passes(
        pytester,
        run,
        """
    def test_it(make_imds_server, imds_server):
        servers = [imds_server, make_imds_server(), *make_imds_server(count=2)]
        assert {server.vm.profile for server in servers} == {"windows"}
        assert make_imds_server("spot").vm.profile == "spot"
    """,
        ini=("imds_profile = windows",),
    )


def test_a_count_that_is_none_is_refused_and_starts_nothing(pytester: pytest.Pytester, run: Run) -> None:
    passes(
        pytester,
        run,
        """
    @pytest.mark.parametrize("count", [0, -1, True, False, "3", 2.0, []])
    def test_it(make_imds_server, count):
        with pytest.raises(ImdsUsageError) as refused:
            make_imds_server(count=count)
        assert str(refused.value) == f"count cannot be {count!r}.\\n  right: how many VMs the fleet has: 1 or more"
        assert make_imds_server.started == []
    """,
        count=7,
    )


def test_a_mistake_is_told_where_it_is_made_and_starts_nothing(pytester: pytest.Pytester, run: Run) -> None:
    passes(
        pytester,
        run,
        """
    @pytest.mark.parametrize("options, told", [
        ({"profile": "scale-sett", "count": 2}, "did you mean 'scale-set'"),
        ({"count": 2, "colour": "red"}, "unknown VM knob 'colour'"),
        ({"lokation": "westeurope"}, "did you mean 'location'"),
        ({"count": 2, "name": "web"}, "the knob name cannot be 'web'"),
        ({"newest": "2020-01-01"}, "unknown api-version '2020-01-01'"),
        ({"count": 2, "zone": "4", "location": "westeurope"}, "has no availability zone '4'"),
    ])
    def test_it(make_imds_server, options, told):
        with pytest.raises(ImdsUsageError, match=told):
            make_imds_server(**options)
        assert make_imds_server.started == []
        assert get(make_imds_server())[0] == 200
    """,
        count=6,
    )


def test_a_mistake_that_is_not_caught_fails_its_test(pytester: pytest.Pytester, run: Run) -> None:
    write(
        pytester,
        """
    def test_it(make_imds_server):
        make_imds_server("scale-sett", count=2)
    """,
    )
    result = run()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*make_imds_server(*scale-sett*", "E *unknown VM profile 'scale-sett'."])
