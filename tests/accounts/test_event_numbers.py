"""Events are numbered within their workspace, without gaps, in the transaction that made them."""

from __future__ import annotations

import pytest
from django.db import transaction

from accounts.models import Event, EventCounter
from accounts.selectors import events_after, last_seq
from accounts.services import EventDraft, event_append, events_append
from tests.factories import alice, bob, workspace_of

pytestmark = pytest.mark.django_db


def test_numbers_rise_by_one_within_a_workspace():
    mine, theirs = workspace_of(alice()), workspace_of(bob())
    event_append(workspace=mine, kind="note", text="one")
    event_append(workspace=theirs, kind="note", text="other")
    events_append(mine.pk, [EventDraft("note", "two"), EventDraft("note", "three", data={"a": "1"})])
    assert [(e.seq, e.text) for e in events_after(mine, 0)] == [(1, "one"), (2, "two"), (3, "three")]
    assert [e.seq for e in events_after(theirs, 0)] == [1]
    assert [e.text for e in events_after(mine, 2)] == ["three"]
    assert (last_seq(mine), last_seq(theirs)) == (3, 1)


def test_what_is_rolled_back_leaves_no_gap():
    workspace = workspace_of(alice())
    with transaction.atomic():
        event_append(workspace=workspace, kind="note", text="never")
        transaction.set_rollback(True)
    assert event_append(workspace=workspace, kind="note", text="first").seq == 1
    assert Event.objects.get().text == "first"


def test_nothing_to_tell_takes_no_number():
    workspace = workspace_of(alice())
    assert events_append(workspace, []) == []
    assert last_seq(workspace) == 0


def test_a_missing_counter_is_made_anew():
    workspace = workspace_of(alice())
    EventCounter.objects.all().delete()
    assert event_append(workspace=workspace, kind="note", text="x").seq == 1


def test_a_long_text_is_cut_to_what_a_row_holds():
    event = event_append(workspace=workspace_of(alice()), kind="note", text="x" * 900)
    assert len(Event.objects.get(pk=event.pk).text) == 500
