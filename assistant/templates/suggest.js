// Suggested questions, and asking the last one again. `element` and `trigger` are given by Gradio.
const box = () => document.querySelector("#ask textarea");
element.addEventListener("click", (event) => {
  const ask = event.target.closest("[data-ask]"), again = event.target.closest("[data-again]");
  if (ask) trigger("select", { ask: ask.dataset.ask });
  if (!again) return;
  if (again.dataset.again === "retry") trigger("retry", {});
  else { trigger("edit", { edit: again.dataset.again === "edit" }); box()?.focus(); }
});
document.addEventListener("keydown", (event) => {
  if (event.target !== box()) return;
  if (event.key === "ArrowUp" && !event.target.value) element.querySelector('[data-again="edit"]')?.click();
  if (event.key === "Escape") element.querySelector('[data-again="cancel"]')?.click();
});
