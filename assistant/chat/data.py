"""The page's Data tab, with its handlers: files come in, a model is fitted or chosen, a run comes out.

Knows gradio, jobs, uploads and the pipeline; not detectors. Fits and detections are jobs in threads of their own: they
go on while the reader looks at findings, and are found again after a reload.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.utils import get_upload_folder

from assistant.chat.cards import job_card, watches_view
from assistant.chat.intake import Limits, Upload, take_in
from assistant.chat.jobs import Job, Jobs, Progress
from assistant.chat.session import Session, own, resource, told
from assistant.chat.sofar import SoFar
from assistant.chat.view import view
from assistant.chat.watching import Watches
from assistant.cli.shared import parse_settings
from assistant.pipeline import Workspace, fit_model, run_detection, unfinished
from assistant.records import Run
from assistant.watch.loop import Options
from assistant.words import number, run_title, when
from detectors.errors import AnomalyError

AUTO = "auto"
MODALITIES = (AUTO, "image", "series", "table", "video", "multimodal")
LISTED = 200  # runs in the table
POLL = 0.7  # seconds between looks at the jobs, while there are any
SLOWLY = 2.0  # ... while only sources are watched


class DataIn:
    """The handlers of the Data tab, for one workspace."""

    workspace: Workspace
    local_paths: bool  # whether a reader may name paths of this machine

    def open_data(self, local_paths: bool) -> None:
        """Make what the tab stands on."""
        self.local_paths = local_paths
        self.limits = Limits()
        self.jobs = Jobs()
        self.watches = Watches(self.workspace)

    # --- files ----------------------------------------------------------------------------------------------------

    @told
    def uploaded(self, session: Session, event: gr.EventData) -> tuple[Any, ...]:
        """Files have arrived; they are used when a job begins."""
        arrived = [received(str(path), str(name)) for path, name in event._data.get("files") or ()]
        if len(session.uploads) + len(arrived) > self.limits.files:
            raise AnomalyError(f"That would be more than {self.limits.files:,} files; give fewer at a time.")
        session.uploads = [*session.uploads, *arrived]
        return session, chosen_files(session.uploads)

    def cleared(self, session: Session) -> tuple[Any, ...]:
        """Other files, please."""
        session.uploads = []
        return session, chosen_files(())

    def _source(self, session: Session | None, path: str) -> tuple[Sequence[Upload], str]:
        """What a job will read: uploads, or a path of this machine.

        Raises:
            AnomalyError: nothing was given, or both.
        """
        if session is None:
            raise AnomalyError("The page is still opening; try again in a moment.")
        path = path.strip() if self.local_paths else ""
        if session.uploads and path:
            raise AnomalyError("Both files and a path were given; clear one of them.")
        if not session.uploads and not path:
            more = ", or name a file or folder of this machine" if self.local_paths else ""
            raise AnomalyError(f"There is no data yet: drop files, a folder or a zip{more}.")
        return tuple(session.uploads), path

    def _read(self, uploads: Sequence[Upload], path: str, tell: Progress) -> Path:
        """The source of a job, with uploads put in the store."""
        if path:
            return Path(path).expanduser()
        tell(0.0, "unpacking")
        return take_in(self.workspace.store.root, uploads, self.limits)

    # --- detect ---------------------------------------------------------------------------------------------------

    @told
    def detect(
        self, session: Session, path: str, model: str, alpha: float | None, fdr: float | None
    ) -> tuple[Any, ...]:
        """Look for anomalies in the data, in the background."""
        uploads, path = self._source(session, path or "")
        folder = self._model(model)
        alpha = 0.01 if alpha is None else float(alpha)
        if not 0 < alpha < 1:
            raise AnomalyError(f"alpha = {alpha:g} must lie between 0 and 1.")

        so_far = SoFar()

        def work(tell: Progress) -> Run:
            source = self._read(uploads, path, lambda f, text: tell(0.02 * f, text))
            try:
                return run_detection(self.workspace, source, folder, alpha, fdr or None, _after(tell, 0.02), so_far.see)
            except BaseException:
                self._drop(source)
                raise

        title = f"Detecting in {called(uploads, path)} with {Path(folder).name}"
        return self._begun(session, self.jobs.start(title, session.reader, work, so_far))

    @told
    def watch(self, session: Session, path: str, model: str, alpha: float | None) -> tuple[Any, ...]:
        """Watch a source of this machine as it grows, until it ends or is stopped."""
        if session is None:
            raise AnomalyError("The page is still opening; try again in a moment.")
        path = (path or "").strip() if self.local_paths else ""
        if not path:
            raise AnomalyError(
                "Name what to watch: a folder, a growing file, a clip, or camera:0 on this machine; "
                "dropped files are whole already, use Detect for them."
            )
        self.watches.start(path, self._model(model), Options(0.01 if alpha is None else float(alpha)))
        return session, chosen_files(session.uploads), self.jobs_view(session), gr.Timer(SLOWLY, active=True)

    def _model(self, model: str | None) -> str:
        """The model folder to use.

        Raises:
            AnomalyError: none was chosen, or a path from a reader who may only choose.
        """
        if not model:
            raise AnomalyError("No model is chosen; choose one, or fit one on normal data first.")
        known = known_models(self.workspace)
        by_name = {Path(folder).name: folder for folder in reversed(known)}
        if model in by_name or model in known:
            return by_name.get(model, model)
        if not self.local_paths:
            raise AnomalyError("This model is not one of the store's; choose one from the list.")
        return model

    def _drop(self, source: Path) -> None:
        """Forget uploads that came to nothing; what lies elsewhere is never touched."""
        uploads = (self.workspace.store.root / "uploads").resolve()
        if source.resolve().is_relative_to(uploads) and source.resolve() != uploads:
            shutil.rmtree(uploads / source.resolve().relative_to(uploads).parts[0], ignore_errors=True)

    # --- fit ------------------------------------------------------------------------------------------------------

    @told
    def fit(
        self, session: Session, path: str, name: str, modality: str, method: str, settings: str, test: bool
    ) -> tuple[Any, ...]:
        """Learn what is normal from the data, in the background."""
        uploads, path = self._source(session, path or "")
        out = self._new_model(name or "")
        given = parse_settings([pair for pair in re.split(r"[\n,;]+\s*", settings or "") if pair.strip()])
        if given and not self.local_paths:
            raise AnomalyError("Settings can only be given where the page is served to this machine alone.")
        kind = None if modality in (AUTO, "", None) else modality

        def work(tell: Progress) -> dict[str, Any]:
            source = self._read(uploads, path, lambda f, text: tell(0.02 * f, text))
            try:
                return fit_model(source, out, kind, method or "default", given, _after(tell, 0.02), test=bool(test))
            except BaseException:
                shutil.rmtree(unfinished(out), ignore_errors=True)
                self._drop(source)
                raise

        job = self.jobs.start(f"Fitting {out.name} on {called(uploads, path)}", session.reader, work)
        return self._begun(session, job)

    def _new_model(self, name: str) -> Path:
        """The folder of a new model of this store.

        Raises:
            AnomalyError: the name is empty, odd or taken.
        """
        name = name.strip()
        if not re.fullmatch(r"\w[\w .-]{0,63}", name):
            raise AnomalyError("The model needs a name of letters, digits, spaces, dots or dashes, such as line-3.")
        out = self.workspace.store.root / "models" / name
        if out.exists() or any(job.title.startswith(f"Fitting {name} on") and not job.ended for job in self.jobs.all()):
            raise AnomalyError(f"There is a model {name!r} already; choose another name.")
        return out

    def methods_for(self, modality: str) -> Any:
        """The methods to choose from, once it is clear what the data are."""
        from assistant.pipeline import known_methods

        known = ["default"] if modality == AUTO else known_methods(modality)
        return gr.Dropdown(choices=known, value="default")

    @told
    def case_prepared(self, session: Session) -> tuple[Any, ...]:
        """The built-in case, in the background; its last run opens by itself."""

        def work(tell: Progress) -> Run:
            from assistant.demo import fill

            return fill(self.workspace, tell)

        return self._begun(session, self.jobs.start("Preparing the built-in case", session.reader, work))

    # --- jobs -----------------------------------------------------------------------------------------------------

    def _begun(self, session: Session, job: Job) -> tuple[Any, ...]:
        session.uploads = []
        session.watched[job.id] = job.status
        return session, chosen_files(()), self.jobs_view(session), gr.Timer(active=True)

    def jobs_view(self, session: Session) -> str:
        """What the store watches, and this reader's jobs, as HTML."""
        jobs = view("jobs", [job_card(job) for job in self.jobs.of(session.reader)])
        return watches_view(self.watches.all()) + jobs

    @told
    def cancelled(self, session: Session, event: gr.EventData) -> tuple[Any, ...]:
        """Stop a job or a watch, or take an ended one off the list."""
        if event._data.get("watch"):
            self.watches.stop(str(event._data["watch"]))
            return session, self.jobs_view(session)
        name = str(event._data.get("job"))
        self.jobs.cancel(session.reader, name)
        if event._data.get("dismiss"):
            self.jobs.dismiss(session.reader, name)
        return session, self.jobs_view(session)

    def ticked(self, session: Session | None) -> tuple[Any, ...]:
        """While jobs are under way: (session, jobs, runs, models, timer, whether the queue has something new)."""
        if session is None:
            return (gr.skip(),) * 5
        jobs = self.jobs.of(session.reader)
        fresh = [job for job in jobs if job.ended and session.watched.get(job.id, "") not in ("", job.status)]
        session.watched = {job.id: job.status for job in jobs}
        for job in fresh:  # a new run is told of by the badge of new findings
            if job.status == "failed":
                gr.Warning(escape(job.error), title=escape(job.title), duration=12)
            elif job.status == "done" and not isinstance(job.result, Run):
                gr.Info(escape(job_card(job)["said"]), title=escape(job.title), duration=8)
        latest = next((run.id for run in self.workspace.store.runs()[:1]), "")
        changed = bool(fresh) or latest != session.latest
        session.latest = latest
        rest = (runs_table(self.workspace), models_choice(self.workspace, jobs)) if changed else (gr.skip(),) * 2
        working, watching = any(not job.ended for job in jobs), any(not one.ended for one in self.watches.all())
        timer = gr.Timer(POLL if working or not watching else SLOWLY, active=working or watching)
        return session, self.jobs_view(session), *rest, timer


def data_tab(page: DataIn) -> dict[str, Any]:
    """Draw the tab; its parts by name."""
    parts: dict[str, Any] = {"timer": gr.Timer(POLL, active=False)}
    local = page.local_paths
    with gr.Column(elem_id="data"):
        with gr.Row(equal_height=False):
            with gr.Column(scale=5, min_width=300):
                parts["drop"] = own(resource("data.js"), "drop", chosen_files(()))
                parts["path"] = gr.Textbox(
                    label="… or a file, folder or camera of this machine", visible=local,
                    placeholder="/data/line-3/tonight or camera:0",
                )  # fmt: skip
            with gr.Column(scale=4, min_width=280, elem_classes="work"):
                gr.HTML("<h2>Find anomalies in it</h2>", elem_classes="own", apply_default_css=False)
                parts["model"] = gr.Dropdown(
                    label="Model" + (" (or the path of one)" if local else ""),
                    choices=models_choices(page.workspace), allow_custom_value=local,
                )  # fmt: skip
                with gr.Row():
                    bounds: dict[str, Any] = {"minimum": 0.0, "maximum": 1.0, "min_width": 100}
                    parts["alpha"] = gr.Number(0.01, label="alpha", step=0.001, **bounds)
                    parts["fdr"] = gr.Number(0.0, label="FDR (0: off)", step=0.01, **bounds)
                with gr.Row():
                    parts["detect"] = gr.Button("Detect", variant="primary", min_width=100)
                    parts["watch"] = gr.Button("Watch it", visible=local, min_width=100, elem_id="watch-it")
            with gr.Column(scale=4, min_width=280, elem_classes="work"):
                gr.HTML("<h2>Or learn from it what is normal</h2>", elem_classes="own", apply_default_css=False)
                parts["name"] = gr.Textbox(label="Its name", placeholder="line-3", max_length=64)
                with gr.Row():
                    parts["modality"] = gr.Dropdown(list(MODALITIES), value=AUTO, label="Kind of data", min_width=100)
                    parts["method"] = gr.Dropdown(["default"], value="default", label="Method", min_width=100)
                parts["settings"] = gr.Textbox(
                    label="Settings (optional)", placeholder="backbone=/models/net, train_steps=400", visible=local,
                )  # fmt: skip
                parts["test"] = gr.Checkbox(label="Plant anomalies afterwards and say whether they would be found")
                parts["fit"] = gr.Button("Fit", variant="primary")
        parts["jobs"] = own(resource("jobs.js"), "jobs")
        parts["runs"] = own(resource("jobs.js"), "runs")
    return parts


def wire_data(page: DataIn, parts: dict[str, Any], session: gr.State, quiet: dict[str, Any]) -> None:
    """Connect the events of the tab."""
    begun = [session, parts["drop"], parts["jobs"], parts["timer"]]
    parts["drop"].upload(page.uploaded, session, [session, parts["drop"]], **quiet)
    parts["drop"].clear(page.cleared, session, [session, parts["drop"]], **quiet)
    detecting = [session, *(parts[key] for key in ("path", "model", "alpha", "fdr"))]
    parts["detect"].click(page.detect, detecting, begun, **quiet)
    watching = [session, *(parts[key] for key in ("path", "model", "alpha"))]
    parts["watch"].click(page.watch, watching, begun, **quiet)
    fitting = [session, *(parts[key] for key in ("path", "name", "modality", "method", "settings", "test"))]
    parts["fit"].click(page.fit, fitting, begun, **quiet)
    parts["modality"].change(page.methods_for, parts["modality"], parts["method"], **quiet)
    parts["jobs"].delete(page.cancelled, session, [session, parts["jobs"]], **quiet)


# --- what is shown --------------------------------------------------------------------------------------------------


def chosen_files(uploads: Sequence[Upload]) -> str:
    """The drop zone with what is in it."""
    size = sum(upload.path.stat().st_size for upload in uploads if upload.path.is_file())
    told_size = f"{size / 1e6:,.1f} MB" if size >= 1e5 else f"{size / 1e3:,.1f} kB"
    names = sorted(upload.name for upload in uploads)
    return view("drop", names[:6], len(uploads), told_size)


def runs_table(workspace: Workspace) -> str:
    """The runs of the store as HTML."""
    rows = [
        {**run.to_dict(), "title": run_title(run), "alpha": number(run.alpha), "made": when(run.created)}
        for run in workspace.store.runs()[:LISTED]
    ]
    return view("runs", rows)


def known_models(workspace: Workspace) -> list[str]:
    """Model folders fitted on the page, and those that runs of this store used, where still there; latest first."""
    home = workspace.store.root / "models"
    fitted = [path.parent for path in home.glob("*/detector.json")] if home.is_dir() else []
    own = sorted(fitted, key=lambda path: path.stat().st_mtime, reverse=True)
    folders = dict.fromkeys([*map(str, own), *(run.model for run in workspace.store.runs())])
    return [folder for folder in folders if Path(folder).is_dir()]


def models_choice(workspace: Workspace, jobs: Sequence[Job] = ()) -> Any:
    """The models to choose from; one that was just fitted is chosen."""
    choices = models_choices(workspace)
    made = next((job for job in jobs if job.status == "done" and isinstance(job.result, dict)), None)
    return gr.Dropdown(choices=choices, value=choices[0][1]) if made and choices else gr.Dropdown(choices=choices)


def models_choices(workspace: Workspace) -> list[tuple[str, str]]:
    """(name, folder) of each model."""
    return [(Path(folder).name, folder) for folder in known_models(workspace)]


def called(uploads: Sequence[Upload], path: str) -> str:
    """What a job's data are called."""
    if path:
        return Path(path).name or path
    return uploads[0].name if len(uploads) == 1 else f"{len(uploads):,} files"


def received(path: str, name: str) -> Upload:
    """A file that this page's server has received; no other file of the machine can be named.

    Raises:
        AnomalyError: it is not there, or lies elsewhere.
    """
    file = Path(path).resolve()
    if not file.is_relative_to(Path(get_upload_folder()).resolve()) or not file.is_file():
        raise AnomalyError(f"The file {name[:80]!r} did not arrive; drop it again.")
    return Upload(file, name)


def _after(tell: Progress, start: float) -> Progress:
    return lambda fraction, message: tell(start + (1 - start) * fraction, message)
