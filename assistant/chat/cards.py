"""What the Data tab shows of its jobs and of what is watched. Knows jobs, watches and runs; not gradio or the store."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from assistant.chat.jobs import Job
from assistant.chat.view import view
from assistant.chat.watching import Watched
from assistant.records import Run
from assistant.watch.frames import CAMERA
from assistant.words import number


def job_card(job: Job) -> dict[str, Any]:
    """What the page shows of a job."""
    run = job.result if isinstance(job.result, Run) else None
    info = job.result if isinstance(job.result, dict) else {}
    told_of = [str(note) for note in info.get("notes", ())]
    skipped = [tuple(pair) for pair in (run.skipped if run else info.get("skipped", ()))]
    said = ""
    if run is not None:
        many = "" if run.n_flagged == 1 else "s"
        said = f"{run.n_flagged:,} finding{many} in {run.n_samples:,} samples at alpha {number(run.alpha)}."
    elif info:
        said = (
            f"Learned from {number(info.get('n_fit'))} normal samples ({info.get('modality')}, {info.get('method')}); "
            + (
                "each was also judged by a fit without it, to calibrate the p-values."
                if info.get("folds")
                else f"{number(info.get('n_calibration'))} more were kept out to calibrate its p-values."
            )
        )
    return {
        "id": job.id, "title": job.title, "status": job.status, "percent": round(100 * job.fraction),
        "message": job.message, "error": job.error, "ended": job.ended, "seconds": f"{job.seconds:.0f} s",
        "run": run.id if run else "", "said": said, "notes": told_of, "skipped": skipped,
        "so_far": job.so_far.card() if job.so_far is not None and not job.ended else {},
    }  # fmt: skip


def watches_view(watched: Sequence[Watched]) -> str:
    """All watches as HTML."""
    return view("watches", [watch_card(one) for one in watched]) if watched else ""


def watch_card(one: Watched) -> dict[str, Any]:
    """What the page shows of a watch."""
    found = len(one.summary.findings)
    said = f"{one.summary.judged:,} judged, {found:,} finding{'' if found == 1 else 's'}"
    said += f", {one.summary.skipped:,} left out" if one.summary.skipped else ""
    name = one.source if one.source.startswith(CAMERA) else "/".join(Path(one.source).parts[-2:])
    return {
        "id": one.id, "title": f"Watching {name} with {Path(one.model).name}", "source": one.source,
        "status": one.status, "ended": one.ended, "error": one.error, "said": said, "latest": one.latest,
        "remarks": list(one.remarks), "run": one.summary.runs[-1] if one.summary.runs else "",
    }  # fmt: skip
