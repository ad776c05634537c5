"""Who is next: the most urgent, and a module that has had less."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from farcall.engine.jobs.job_queue import JobQueue


@dataclass(eq=False)
class Job:
    digest: str
    number: int
    priority: int = 0


def taken(queue):
    order = []
    while len(queue):
        job = queue.pop()
        order.append(f"{job.digest}{job.number}")
        queue.done(job)
    return order


def test_modules_take_turns_and_their_jobs_keep_their_order():
    queue = JobQueue()
    for digest, number in (("a", 0), ("a", 1), ("a", 2), ("b", 0), ("b", 1), ("c", 0)):
        queue.push(Job(digest, number))
    assert taken(queue) == ["a0", "b0", "c0", "a1", "b1", "a2"]


def test_a_module_that_has_jobs_under_way_lets_others_go_first():
    queue = JobQueue()
    jobs = [Job("a", number) for number in range(4)]
    for job in jobs:
        queue.push(job)
    assert [queue.pop(), queue.pop()] == jobs[:2]
    queue.push(Job("b", 0))
    assert [queue.pop().digest for _ in range(3)] == ["b", "a", "a"]
    queue.push(Job("b", 1))
    queue.push(Job("a", 5))
    for job in jobs:
        queue.done(job)
    assert [queue.pop().digest for _ in range(2)] == ["a", "b"]  # b has one under way, a none any more


def test_the_lower_priority_is_the_sooner():
    queue = JobQueue()
    for job in (Job("a", 0, 5), Job("a", 1, 0), Job("b", 0, 10), Job("b", 1, 5)):
        queue.push(job)
    assert taken(queue) == ["a1", "a0", "b1", "b0"]


def test_what_is_removed_does_not_come():
    queue = JobQueue()
    jobs = [Job("a", 0), Job("a", 1), Job("b", 0, 3)]
    for job in jobs:
        queue.push(job)
    queue.remove(jobs[0])
    queue.remove(jobs[2])
    assert (len(queue), list(queue.waiting())) == (1, [jobs[1]])
    assert taken(queue) == ["a1"]
    with pytest.raises(IndexError):
        queue.pop()
