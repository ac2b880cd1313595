"""The page's Data tab: files or a folder in, a run out. Knows gradio and the pipeline; not detectors."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gradio as gr

from assistant.chat_view import view
from assistant.pipeline import Workspace, run_detection
from assistant.words import number, run_title, when
from detectors.errors import AnomalyError

_PROGRESS = gr.Progress()
OPEN_RUN = """element.addEventListener('click', (event) => {
  const button = event.target.closest('[data-run]');
  if (button) trigger('select', { run: button.dataset.run });
});"""


def data_tab(workspace: Workspace, local_paths: bool, told: Callable[..., Any]) -> tuple[gr.HTML, gr.HTML]:
    """Draw the tab and wire it; hands back the table of runs and the outcome, both of which can open a run.

    Args:
        local_paths: whether a reader may name paths of this machine; only sensible where the page is served to
            this machine alone.
    """
    with gr.Column(elem_id="data"):
        with gr.Row(equal_height=False):
            with gr.Column(scale=3, min_width=320):
                files = gr.File(label="New data: pictures, a CSV or a Parquet file", file_count="multiple", height=180)
                path = gr.Textbox(
                    label="… or a file or folder on this machine",
                    placeholder="/data/line-3/tonight",
                    visible=local_paths,
                )
            with gr.Column(scale=2, min_width=280):
                model = gr.Dropdown(
                    known_models(workspace),
                    label="Model" + (" (one of these, or the path of a model folder)" if local_paths else ""),
                    allow_custom_value=local_paths,
                )
                with gr.Row():
                    alpha = gr.Number(0.01, label="alpha", minimum=0.0, maximum=1.0, step=0.001, min_width=100)
                    fdr = gr.Number(
                        0.0, label="false discovery rate (0: off)", minimum=0.0, maximum=1.0, step=0.01, min_width=100
                    )
                detect = gr.Button("Detect", variant="primary")
        outcome = gr.HTML(elem_classes="own", js_on_load=OPEN_RUN, apply_default_css=False)
        runs = gr.HTML(elem_classes="own", js_on_load=OPEN_RUN, apply_default_css=False)

    def run(files: list[str] | None, path: str, model: str, alpha: float, fdr: float | None, progress=_PROGRESS):
        source = chosen_source(workspace, files, path if local_paths else "")
        model = chosen_model(workspace, model, local_paths)
        made = run_detection(
            workspace,
            source,
            model,
            alpha=float(alpha or 0.01),
            fdr=fdr or None,
            progress=lambda f, text: progress(f, text),
        )
        return view("outcome", made, made.skipped), runs_table(workspace), gr.Dropdown(choices=known_models(workspace))

    inputs = [files, path, model, alpha, fdr]
    detect.click(
        told(run), inputs, [outcome, runs, model], concurrency_limit=1, concurrency_id="detect",
        show_progress_on=outcome, api_visibility="private",
    )  # fmt: skip
    return runs, outcome


def known_models(workspace: Workspace) -> list[str]:
    """Model folders that runs of this store used and that are still there, the latest first."""
    folders = dict.fromkeys(run.model for run in workspace.store.runs())
    return [folder for folder in folders if Path(folder).is_dir()]


def runs_table(workspace: Workspace) -> str:
    """The runs of the store as HTML."""
    rows = [
        {**run.to_dict(), "title": run_title(run), "alpha": number(run.alpha), "made": when(run.created)}
        for run in workspace.store.runs()[:200]
    ]
    return view("runs", rows)


def chosen_source(workspace: Workspace, files: list[str] | None, path: str) -> Path:
    """Where to detect: uploads are kept in the store, since what-ifs read them again.

    Raises:
        AnomalyError: nothing was given, or both.
    """
    if files and path.strip():
        raise AnomalyError("Both files and a path were given; clear one of them.")
    if path.strip():
        return Path(path.strip()).expanduser()
    if not files:
        raise AnomalyError(
            "There is no data yet: drop files" + (" or name a file or folder." if path is not None else ".")
        )
    folder = workspace.store.root / "uploads" / uuid.uuid4().hex[:12]
    folder.mkdir(parents=True)
    kept = [Path(shutil.copy2(file, folder / Path(file).name)) for file in files]
    return kept[0] if len(kept) == 1 and kept[0].suffix.lower() in (".csv", ".tsv", ".parquet") else folder


def chosen_model(workspace: Workspace, model: str | None, local_paths: bool) -> str:
    """The model folder to use.

    Raises:
        AnomalyError: none was chosen, or a path from a reader who may only choose.
    """
    if not model:
        raise AnomalyError("No model is chosen; `anomaly fit SOURCE --out MODEL` makes one.")
    if not local_paths and model not in known_models(workspace):
        raise AnomalyError("This model is not one of the store's; choose one from the list.")
    return model
