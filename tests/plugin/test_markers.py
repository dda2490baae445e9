"""The markers: what they change, and how they merge."""

from __future__ import annotations

import pytest

from pytest_imds import data
from tests.plugin.conftest import Run


def test_marker_on_a_function_names_the_profile(pytester: pytest.Pytester, run: Run) -> None:
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.imds_vm("windows")
        def test_positional(imds_vm):
            assert (imds_vm.profile, imds_vm.os_type) == ("windows", "Windows")

        @pytest.mark.imds_vm(profile="windows")
        def test_keyword(imds_vm):
            assert (imds_vm.profile, imds_vm.os_type) == ("windows", "Windows")

        def test_none(imds_vm):
            assert (imds_vm.profile, imds_vm.os_type) == ("linux", "Linux")
        """
    )
    run().assert_outcomes(passed=3)


def test_every_profile_can_be_named(pytester: pytest.Pytester, run: Run) -> None:
    profiles = list(data.read("profiles")["profiles"])
    marked = [f"pytest.param({name!r}, marks=pytest.mark.imds_vm({name!r}))" for name in profiles]
    pytester.makepyfile(
        f"""
        import pytest

        @pytest.mark.parametrize("profile", [{", ".join(marked)}])
        def test_it(imds_vm, profile):
            assert imds_vm.profile == profile
        """
    )
    run().assert_outcomes(passed=len(profiles))
    assert len(profiles) == 18


def test_nearer_marker_wins_and_the_rest_is_merged(pytester: pytest.Pytester, run: Run) -> None:
    pytester.makepyfile(
        """
        import pytest

        pytestmark = pytest.mark.imds_vm("windows", location="westeurope", tags={"from": "module"})

        def test_module(imds_vm):
            assert (imds_vm.profile, imds_vm.location, imds_vm.tags) == ("windows", "westeurope", {"from": "module"})

        @pytest.mark.imds_vm(location="northeurope", vm_size="Standard_D4s_v5")
        class TestClass:
            pytestmark = pytest.mark.imds_vm(name="of-class")

            def test_class(self, imds_vm):
                assert (imds_vm.profile, imds_vm.location) == ("windows", "northeurope")
                assert (imds_vm.vm_size, imds_vm.name) == ("Standard_D4s_v5", "of-class")
                assert imds_vm.tags == {"from": "module"}

            @pytest.mark.imds_vm("linux", tags={})
            def test_function(self, imds_vm):
                assert (imds_vm.profile, imds_vm.location) == ("linux", "northeurope")
                assert imds_vm.tags == {}

        @pytest.mark.imds_vm(location="eastus")
        @pytest.mark.imds_vm(location="westus2", name="nearest")
        def test_stacked(imds_vm):
            assert (imds_vm.location, imds_vm.name) == ("westus2", "nearest")

        @pytest.mark.imds_vm(profile="linux")
        def test_keyword_wins_over_a_farther_position(imds_vm):
            assert imds_vm.profile == "linux"
        """
    )
    run().assert_outcomes(passed=5)


def test_marker_of_one_parameter_is_for_that_one_alone(pytester: pytest.Pytester, run: Run) -> None:
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.parametrize(
            "os_type", ["Linux", pytest.param("Windows", marks=pytest.mark.imds_vm("windows")), "Linux"]
        )
        def test_it(imds_vm, os_type):
            assert imds_vm.os_type == os_type
        """
    )
    run().assert_outcomes(passed=3)


def test_marker_imds_sets_the_era_and_the_cloud(pytester: pytest.Pytester, run: Run) -> None:
    pytester.makepyfile(
        """
        import json
        import urllib.request

        import pytest

        pytestmark = pytest.mark.imds(cloud="AzureUSGovernmentCloud", newest="2019-11-01")

        def versions(server):
            request = urllib.request.Request(server.url + "/metadata/versions", headers={"Metadata": "true"})
            with urllib.request.urlopen(request, timeout=5) as reply:
                return json.load(reply)["apiVersions"]

        @pytest.mark.imds(newest="2020-10-01")
        def test_merged(imds_server, imds_vm):
            assert len(versions(imds_server)) == 20
            assert imds_vm.cloud == "AzureUSGovernmentCloud"
            assert imds_vm.location.startswith("us")

        @pytest.mark.imds(newest=None)
        def test_undone(imds_server):
            assert len(versions(imds_server)) == 37

        @pytest.mark.imds_vm(cloud="AzureChinaCloud")
        def test_knob_of_the_vm_wins(imds_vm):
            assert imds_vm.cloud == "AzureChinaCloud"
        """
    )
    run().assert_outcomes(passed=3)


def test_marker_acts_without_its_fixture_being_named(pytester: pytest.Pytester, run: Run) -> None:
    pytester.makepyfile(
        """
        import pytest

        pytestmark = pytest.mark.imds_vm("windows")

        def test_vm(request):
            assert request.node.funcargs["imds_vm"].os_type == "Windows"

        @pytest.mark.imds(newest="2020-10-01")
        def test_service(request):
            assert request.node.funcargs["imds_server"].is_running()
        """
    )
    run().assert_outcomes(passed=2)


def test_test_without_marker_and_fixture_has_no_server(pytester: pytest.Pytester, run: Run) -> None:
    pytester.makepyfile(
        """
        import pytest

        def test_it(request):
            assert not {"imds_vm", "imds_server"} & set(request.fixturenames)

        @pytest.mark.parametrize("n", [1, pytest.param(2, marks=pytest.mark.imds_vm("windows"))])
        def test_parameters(request, n):
            assert ("imds_vm" in request.node.funcargs) is (n == 2)
        """
    )
    run().assert_outcomes(passed=3)


def test_region_is_served_in_the_case_that_the_marker_has(pytester: pytest.Pytester, run: Run) -> None:
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.imds_vm(location="SwedenCentral", zone=2)
        def test_it(imds_vm):
            assert (imds_vm.location, imds_vm.zone) == ("SwedenCentral", "2")
        """
    )
    run().assert_outcomes(passed=1)
