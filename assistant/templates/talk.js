// The head of the talk: which conversation, and what can be done with it. `element` and `trigger` are given by Gradio.
const close = () => element.querySelector("details.menu")?.removeAttribute("open");
element.addEventListener("change", (event) => {
  if (event.target.name === "thread") trigger("select", { thread: event.target.value });
});
element.addEventListener("click", (event) => {
  const node = event.target;
  if (node.closest("[data-thread]")) trigger("select", { thread: "new" });
  if (node.closest("[data-export]")) { close(); trigger("download", {}); }
  const forget = node.closest("[data-forget]");
  if (!forget) return;
  if (forget.dataset.forget === "sure") { close(); trigger("delete", {}); return; }
  forget.dataset.forget = "sure"; // the first press asks, the second deletes
  forget.textContent = "Press again to delete it for good";
});
element.addEventListener("submit", (event) => {
  event.preventDefault();
  close();
  trigger("edit", { title: new FormData(event.target).get("title") });
});
element.addEventListener("keydown", (event) => {
  if (event.key === "Escape") { close(); element.querySelector("details.menu summary")?.focus(); }
});
document.addEventListener("click", (event) => { if (!element.contains(event.target)) close(); });
