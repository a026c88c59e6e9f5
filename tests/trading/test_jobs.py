"""Scheduled jobs: every run has a row that says how it went, and a job that fails stands alone."""

from __future__ import annotations

import pytest

from trading.jobs import job, pulse, pulse_forget
from trading.models import JobRun

pytestmark = pytest.mark.django_db


def test_a_run_says_when_it_was_and_what_it_did():
    with job("mend") as run:
        assert JobRun.objects.get().status == "running"
        run.did, run.repairs = "two things", 2
    row = JobRun.objects.get()
    assert (row.name, row.status, row.did, row.repairs, row.error) == ("mend", "done", "two things", 2, "")
    assert row.started_at <= row.ended_at


def test_a_job_that_fails_is_contained_and_its_row_says_why():
    with job("mend"):
        raise RuntimeError("x" * 500)
    row = JobRun.objects.get()
    assert row.status == "failed"
    assert row.ended_at is not None
    assert row.error.startswith("RuntimeError: xxx")
    assert len(row.error) == 300


def test_a_job_of_every_second_keeps_one_row():
    for _ in range(3):
        pulse_forget()
        with pulse("sweep"):
            pass
    assert [(row.name, row.status) for row in JobRun.objects.all()] == [("sweep", "done")]
    first = JobRun.objects.get().ended_at
    with pulse("sweep"):  # a moment later: not told
        pass
    assert JobRun.objects.get().ended_at == first
    pulse_forget()
    with pulse("sweep"):
        pass
    assert JobRun.objects.get().ended_at > first


def test_a_failure_of_such_a_job_is_always_told():
    pulse_forget()
    for _ in range(2):
        with pulse("sweep"):
            pass
        with pulse("sweep"):
            raise RuntimeError("no")
    assert sorted(JobRun.objects.values_list("status", flat=True)) == ["done", "failed", "failed"]
