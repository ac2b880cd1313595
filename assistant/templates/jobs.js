// Jobs and runs: open, cancel, take off the list. `element` and `trigger` are given by Gradio.
element.addEventListener("click", (event) => {
  const run = event.target.closest("[data-run]"), cancel = event.target.closest("[data-cancel]");
  const dismiss = event.target.closest("[data-dismiss]");
  if (run) trigger("select", { run: run.dataset.run });
  if (cancel) { cancel.disabled = true; trigger("delete", { job: cancel.dataset.cancel }); }
  if (dismiss) trigger("delete", { job: dismiss.dataset.dismiss, dismiss: true });
});
