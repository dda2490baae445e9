"""What becomes of events, as a pure function of a log and of the time; what the VMs of a fleet share of it."""

from __future__ import annotations

from itertools import permutations

import pytest

from pytest_imds import ImdsServer, ImdsUsageError
from pytest_imds.clock import Clock
from pytest_imds.events.fleet import Fleet
from pytest_imds.events.lifecycle import (
    CANCELED,
    COMPLETED,
    NEVER,
    SCHEDULED,
    STARTED,
    Course,
    Entry,
    Plan,
    courses,
)

# An event of these times is announced at 1000, due at 1900 and, unapproved, over at 2500.
ANNOUNCED, DUE, IMPACT_S = 1000.0, 1900.0, 600.0


def plan(event_id: str = "A", *, due: float = DUE, at_once: bool = False) -> Plan:
    return Plan(event_id, "Reboot", ("vm",), due, IMPACT_S, "Platform", "", -1, at_once)


def scheduled(*plans: Plan) -> list[Entry]:
    return [Entry("schedule", (), ANNOUNCED, one) for one in plans or (plan(),)]


def course(*entries: tuple[str, float], at_once: bool = False) -> Course:
    """The course of event A after these entries about it."""
    first = plan(due=ANNOUNCED if at_once else DUE, at_once=at_once)
    return courses([*scheduled(first), *(Entry(what, ("A",), at) for what, at in entries)])["A"]


# What was done, and when; then the states from then on, each with the time at which it begins.
COURSES: dict[str, tuple[list[tuple[str, float]], list[tuple[float, str]]]] = {
    "left alone": ([], [(1000, SCHEDULED), (1900, STARTED), (2500, COMPLETED)]),
    "approved": ([("approve", 1100)], [(1000, SCHEDULED), (1100, STARTED), (1700, COMPLETED)]),
    "started": ([("start", 1100)], [(1000, SCHEDULED), (1100, STARTED), (1700, COMPLETED)]),
    "approved as soon as it is announced": ([("approve", 1000)], [(1000, STARTED), (1600, COMPLETED)]),
    "approved after it was due": ([("approve", 2000)], [(1000, SCHEDULED), (1900, STARTED), (2500, COMPLETED)]),
    "approved twice": ([("approve", 1100), ("approve", 1200)], [(1000, SCHEDULED), (1100, STARTED), (1700, COMPLETED)]),
    "started, then approved": (
        [("start", 1100), ("approve", 1200)],
        [(1000, SCHEDULED), (1100, STARTED), (1700, COMPLETED)],
    ),
    "canceled": ([("end", 1500)], [(1000, SCHEDULED), (1500, CANCELED)]),
    "completed": ([("end", 2000)], [(1000, SCHEDULED), (1900, STARTED), (2000, COMPLETED)]),
    "approved and completed": (
        [("approve", 1100), ("end", 1200)],
        [(1000, SCHEDULED), (1100, STARTED), (1200, COMPLETED)],
    ),
    "completed when it was over": ([("end", 2600)], [(1000, SCHEDULED), (1900, STARTED), (2500, COMPLETED)]),
}
# Around every moment of any course.
MOMENTS = sorted({moment + shift for moment in range(1000, 2701, 100) for shift in (-1e-6, 0.0, 1e-6)} | {1e12})


@pytest.mark.parametrize("name", COURSES)
def test_an_event_is_what_its_log_says_at_every_moment(name: str) -> None:
    entries, states = COURSES[name]

    for now in (moment for moment in MOMENTS if moment >= ANNOUNCED):
        expected = [status for begins, status in states if begins <= now][-1]
        assert course(*entries).status(now) == expected, now


@pytest.mark.parametrize("name", COURSES)
def test_every_state_but_the_first_is_one_more_change(name: str) -> None:
    entries, states = COURSES[name]
    begun = states if states[0][1] == SCHEDULED else [(ANNOUNCED, SCHEDULED), *states]

    for now in (moment for moment in MOMENTS if moment >= ANNOUNCED):
        assert course(*entries).changes(now) == sum(begins <= now for begins, _ in begun), now


@pytest.mark.parametrize(("entries", "ends"), [([], 1600.0), ([("end", 1200.0)], 1200.0), ([("end", 1000.0)], 1000.0)])
def test_an_event_without_notice_is_started_from_the_beginning(entries: list[tuple[str, float]], ends: float) -> None:
    at_once = course(*entries, at_once=True)

    for now in (moment for moment in MOMENTS if moment >= ANNOUNCED):
        over = now >= ends
        assert (at_once.status(now), at_once.changes(now)) == (COMPLETED if over else STARTED, 1 + over), now


def test_a_canceled_event_never_starts() -> None:
    canceled = course(("end", 1500))

    assert {canceled.status(now) for now in MOMENTS if now >= 1500} == {CANCELED}
    assert canceled.changes(1e12) == 2


@pytest.mark.parametrize("what", ["approve", "start", "end"])
def test_the_first_of_a_kind_counts_in_whatever_order_they_are_noted(what: str) -> None:
    times = (1300.0, 1100.0, 1200.0)

    assert {course(*((what, at) for at in order)) for order in permutations(times)} == {course((what, 1100.0))}


def test_what_is_noted_at_the_same_time_may_be_noted_in_any_order() -> None:
    entries = [("approve", 1100.0), ("start", 1050.0), ("end", 1200.0)]

    (only,) = {course(*order) for order in permutations(entries)}
    assert only == Course(plan(), approved_at=1100.0, start_at=1050.0, ended_at=1200.0)


def test_an_entry_is_about_the_events_that_it_names_and_no_other() -> None:
    known = courses([*scheduled(plan("A"), plan("B"), plan("C")), Entry("approve", ("C", "A"), 1100)])

    assert {name: known[name].approved_at for name in known} == {"A": 1100, "B": NEVER, "C": 1100}


def test_events_are_in_the_order_in_which_they_were_scheduled() -> None:
    log = scheduled(plan("C", due=3000), plan("A"), plan("B", due=1200))

    assert list(courses([*log, Entry("approve", ("B", "A"), 1100)])) == ["C", "A", "B"]


def test_a_log_is_only_read() -> None:
    log = [*scheduled(), Entry("approve", ("A",), 1100)]
    before = list(log)

    assert courses(log) == courses(iter(log))
    assert log == before


def test_what_was_read_of_a_shorter_log_stays_as_it_was() -> None:
    log = scheduled()
    earlier = courses(log)
    courses([*log, Entry("end", ("A",), 1100)])

    assert earlier["A"].status(1200) == SCHEDULED


def test_a_fleet_without_events_is_at_its_first_incarnation() -> None:
    standing = Fleet().standing()

    assert (standing.incarnation, standing.courses, standing.shown) == (1, {}, [])


def test_the_vms_of_a_fleet_are_counted() -> None:
    fleet, other = Fleet(), Fleet()
    sizes = [fleet.size]
    for _ in range(3):
        fleet.join()
        sizes.append(fleet.size)

    assert (sizes, other.size) == ([0, 1, 2, 3], 0)


def test_a_server_that_cannot_be_made_is_none_of_its_fleet() -> None:
    fleet = Fleet()
    with pytest.raises(ImdsUsageError):
        ImdsServer("scale-set", seed=7, fleet=fleet, colour="red")
    first, second = (ImdsServer("scale-set", seed=7, fleet=fleet).vm for _ in range(2))

    assert int(second.name.rpartition("_")[2]) == int(first.name.rpartition("_")[2]) + 1
    assert first == ImdsServer("scale-set", seed=7, fleet=Fleet()).vm


def test_a_fleet_lives_in_the_time_that_it_is_given() -> None:
    clock = Clock()

    assert Fleet(clock).clock is clock
    assert Fleet().clock is not Fleet().clock


def test_a_standing_tells_when_it_was_taken() -> None:
    fleet = Fleet()
    before, now, after = fleet.clock.time(), fleet.standing().now, fleet.clock.time()
    fleet.clock.advance(1000)

    assert before <= now <= after
    assert fleet.standing().now >= now + 1000


def test_a_fleet_shows_what_is_scheduled_and_what_has_started() -> None:
    fleet = Fleet()
    now = fleet.clock.time()
    for event_id in "ABCD":
        fleet.note(Entry("schedule", (), now, plan(event_id, due=now + 900)))
    fleet.note(Entry("start", ("B",), now))
    fleet.note(Entry("start", ("C",), now))
    fleet.note(Entry("end", ("C", "D"), now + 10))

    fleet.clock.advance(20)
    standing = fleet.standing()
    assert [(one.plan.event_id, status) for one, status in standing.shown] == [("A", SCHEDULED), ("B", STARTED)]
    assert list(standing.courses) == ["A", "B", "C", "D"]
    # Four came, two started, two went.
    assert standing.incarnation == 1 + 4 + 2 + 2


def test_each_event_that_changes_makes_an_incarnation_of_its_own() -> None:
    fleet = Fleet()
    now = fleet.clock.time()
    incarnations = [fleet.standing().incarnation]
    for event_id in "ABC":
        fleet.note(Entry("schedule", (), now, plan(event_id, due=now + 900)))
        incarnations.append(fleet.standing().incarnation)
    for seconds in (900, IMPACT_S):
        fleet.clock.advance(seconds)
        incarnations.append(fleet.standing().incarnation)

    assert incarnations == [1, 2, 3, 4, 7, 10]
    assert fleet.standing().shown == []


def test_a_standing_is_not_changed_by_what_is_done_after_it() -> None:
    fleet = Fleet()
    now = fleet.clock.time()
    fleet.note(Entry("schedule", (), now, plan(due=now + 900)))
    earlier = fleet.standing()
    fleet.note(Entry("end", ("A",), now))

    assert (earlier.incarnation, [status for _, status in earlier.shown]) == (2, [SCHEDULED])
    assert (fleet.standing().incarnation, fleet.standing().shown) == (3, [])
