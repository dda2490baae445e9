"""Programs in other languages, unmodified: each finds the VM of its test at 169.254.169.254."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from pytest_imds import ImdsServer, ServerFactory, Vm

pytestmark = pytest.mark.imds_namespace  # skips these tests where the system does not allow it, and says why

SCRIPT = """
url='http://169.254.169.254/metadata/instance/compute/name?api-version=2021-02-01&format=text'
curl --silent --fail --noproxy '*' --max-time 5 --header Metadata:true "$url"
"""

NODE = """
const url = "http://169.254.169.254/metadata/instance/compute?api-version=2021-02-01";
const reply = await fetch(url, { headers: { Metadata: "true" } });
console.log((await reply.json()).vmSize);
"""


def test_a_shell_script_prints_the_name_of_its_vm(imds_server: ImdsServer, imds_vm: Vm) -> None:
    # Catches a script that lacks the header, or that goes through a proxy.
    script = imds_server.run(["sh", "-c", SCRIPT], capture_output=True, text=True, check=True)
    assert script.stdout == imds_vm.name


@pytest.mark.imds_fault("gone")
def test_a_shell_script_that_meets_an_outage_fails(imds_server: ImdsServer) -> None:
    # Catches a script that prints the error in the place of the name: curl without --fail.
    script = imds_server.run(["sh", "-c", SCRIPT], capture_output=True, text=True)
    assert (script.returncode, script.stdout) == (22, "")


@pytest.mark.skipif(shutil.which("node") is None, reason="Node is not installed")
def test_a_node_program_prints_the_size_of_its_vm(imds_server: ImdsServer, imds_vm: Vm) -> None:
    node = imds_server.run(["node", "--input-type=module", "--eval", NODE], capture_output=True, text=True, check=True)
    assert node.stdout == f"{imds_vm.vm_size}\n"


def test_programs_that_run_at_once_are_different_vms(make_imds_server: ServerFactory) -> None:
    # Catches a leader election that all instances of a scale set win.
    servers = make_imds_server("scale-set", count=3)
    programs = [server.popen(["sh", "-c", SCRIPT], stdout=subprocess.PIPE, text=True) for server in servers]
    names = [program.communicate(timeout=10)[0] for program in programs]
    assert names == [server.vm.name for server in servers]
