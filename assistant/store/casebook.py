"""Changes incidents that are there: their title, their note, which findings belong to them. Each change is in the log.

Knows the store's rows and its audit log; not what an incident says, detectors or pages.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select, update

from assistant.records import Incident
from assistant.store.audit import INCIDENT_EDITED
from assistant.store.database import StoreError
from assistant.store.rows import get_row, id_number
from assistant.store.schema import FindingRow
from assistant.store.store import BATCH, Store

LONGEST = 200  # characters of a title


def retitle(store: Store, incident: str, title: str) -> Incident:
    """Call an incident by another name.

    Raises:
        StoreError: unknown incident, or an empty title.
    """
    title = " ".join(title.split())[:LONGEST]
    if not title:
        raise StoreError("An incident needs a title; type one, or leave the old one.")
    with store.database.write() as session:
        row = get_row(session, "I", incident)
        before, row.title = row.title, title
        store.record(session, INCIDENT_EDITED, f"I{row.id}", before={"title": before}, after={"title": title})
    return store.incident(incident)


def release(store: Store, incident: str, findings: Sequence[str]) -> Incident:
    """Take findings out of an incident; those that were neither confirmed nor dismissed are new again.

    Raises:
        StoreError: unknown incident, or a finding that is not in it.
    """
    wanted = sorted({id_number("F", name) for name in findings})
    with store.database.write() as session:
        number = get_row(session, "I", incident).id
        for first in range(0, len(wanted), BATCH):
            batch = wanted[first : first + BATCH]
            members = FindingRow.id.in_(batch), FindingRow.incident_id == number
            found = set(session.scalars(select(FindingRow.id).where(*members)))
            if missing := sorted(set(batch) - found):
                raise StoreError(f"F{missing[0]} is not in {incident}.")
            session.execute(update(FindingRow).where(*members, FindingRow.state == "in incident").values(state="new"))
            session.execute(update(FindingRow).where(*members).values(incident_id=None))
        after = {"released": len(wanted)}
        store.record(session, INCIDENT_EDITED, f"I{number}", after=after, findings=wanted)
    return store.incident(incident)


def dissolve(store: Store, incident: str) -> None:
    """Take all findings out of an incident; the empty incident stays in the log only.

    Raises:
        StoreError: unknown incident.
    """
    kept = store.incident(incident)
    if kept.findings:
        release(store, incident, kept.findings)
