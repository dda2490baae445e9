"""What is said about a system that allows no network of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_imds.network.obstacles import SECCOMP, SWITCHES, advice


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    """A system that has all switches, and none in the way."""
    for file, closed, _ in SWITCHES:
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_text("0\n" if closed == "1" else "1\n")
    (tmp_path / "self").mkdir()
    (tmp_path / "self" / "status").write_text("Name:\tpython\nSeccomp:\t0\nSeccomp_filters:\t0\n")
    return tmp_path


@pytest.mark.parametrize(("file", "closed", "what"), SWITCHES, ids=[row[0] for row in SWITCHES])
def test_the_switch_that_is_in_the_way_is_named_and_no_other(file: str, closed: str, what: str, proc: Path) -> None:
    (proc / file).write_text(f"{closed}\n")
    assert advice(proc) == [what]


def test_the_profile_of_a_container_is_named(proc: Path) -> None:
    (proc / "self" / "status").write_text("Name:\tpython\nSeccomp:\t2\nSeccomp_filters:\t1\n")
    assert advice(proc) == [SECCOMP]


def test_all_that_is_known_is_named_where_nothing_is_found(proc: Path) -> None:
    assert advice(proc) == [*(what for _, _, what in SWITCHES), SECCOMP]


def test_a_system_without_any_switch_is_no_error(tmp_path: Path) -> None:
    assert advice(tmp_path) == [*(what for _, _, what in SWITCHES), SECCOMP]


def test_several_are_all_named(proc: Path) -> None:
    for file, closed, _ in SWITCHES[:2]:
        (proc / file).write_text(closed)
    assert advice(proc) == [what for _, _, what in SWITCHES[:2]]


def test_the_advice_says_what_to_type() -> None:
    assert "sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0" in SWITCHES[0][2]
    assert "--security-opt seccomp=unconfined" in SECCOMP
