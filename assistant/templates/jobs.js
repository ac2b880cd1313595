// Jobs, watches and runs: open, cancel, stop, take off the list. `element` and `trigger` are given by Gradio.
element.addEventListener("click", (event) => {
  const run = event.target.closest("[data-run]"), cancel = event.target.closest("[data-cancel]");
  const dismiss = event.target.closest("[data-dismiss]"), watch = event.target.closest("[data-watch]");
  if (run) trigger("select", { run: run.dataset.run });
  if (cancel) { cancel.disabled = true; trigger("delete", { job: cancel.dataset.cancel }); }
  if (watch) { watch.disabled = true; trigger("delete", { watch: watch.dataset.watch }); }
  if (dismiss) trigger("delete", { job: dismiss.dataset.dismiss, dismiss: true });
});
