"""Jobs: progress, one after the other, cancelled at the next report of progress, failures in one sentence."""

from __future__ import annotations

import threading
import time

import pytest

from assistant.chat.jobs import WAITING_MOST, Job, Jobs
from detectors.errors import AnomalyError


def ended(job: Job, seconds: float = 5.0) -> Job:
    until = time.monotonic() + seconds
    while not job.ended and time.monotonic() < until:
        time.sleep(0.005)
    assert job.ended
    return job


def test_a_job_hands_back_its_result():
    def work(tell):
        tell(0.5, "half way")
        return 7

    job = ended(Jobs().start("counting", "me", work))
    assert (job.status, job.result, job.fraction, job.message) == ("done", 7, 0.5, "half way")


def test_a_cancelled_job_stops_at_its_next_report_and_cleans_up():
    jobs, begun, cleaned = Jobs(), threading.Event(), []

    def work(tell):
        begun.set()
        try:
            while True:
                tell(0.1, "working")
                time.sleep(0.002)
        finally:
            cleaned.append(True)

    job = jobs.start("endless", "me", work)
    assert begun.wait(5)
    jobs.cancel("me", job.id)
    assert ended(job).status == "cancelled"
    assert cleaned == [True]


def test_a_waiting_job_can_be_cancelled_and_the_next_takes_its_turn():
    jobs, go = Jobs(), threading.Event()
    first = jobs.start("first", "me", lambda tell: go.wait(5))
    second, third = jobs.start("second", "me", lambda tell: 2), jobs.start("third", "me", lambda tell: 3)
    jobs.cancel("me", second.id)
    assert ended(second).status == "cancelled"
    assert third.status == "waiting"
    go.set()
    assert (ended(first).status, ended(third).status) == ("done", "done")


def test_nobody_cancels_or_sees_the_jobs_of_another():
    jobs, go = Jobs(), threading.Event()
    job = jobs.start("mine", "me", lambda tell: go.wait(5))
    jobs.cancel("you", job.id)
    assert jobs.of("you") == []
    go.set()
    assert ended(job).status == "done"
    jobs.dismiss("you", job.id)
    assert jobs.of("me") == [job]
    jobs.dismiss("me", job.id)
    assert jobs.of("me") == []


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (AnomalyError("The file is empty."), "The file is empty."),
        (MemoryError(), "not enough memory"),
        (KeyError("x"), "KeyError"),
    ],
)
def test_a_failure_is_told_in_one_sentence(error, told):
    def work(tell):
        raise error

    job = ended(Jobs().start("failing", "me", work))
    assert job.status == "failed"
    assert told in job.error


def test_only_so_many_jobs_may_wait():
    jobs, go = Jobs(), threading.Event()
    try:
        for _ in range(WAITING_MOST):
            jobs.start("waiting", "me", lambda tell: go.wait(5))
        with pytest.raises(AnomalyError, match="waiting already"):
            jobs.start("one more", "me", lambda tell: None)
        jobs.start("another reader's", "you", lambda tell: None)
    finally:
        go.set()
