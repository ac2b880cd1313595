// The Incidents tab: its list, the head and the summary of one. `element` and `trigger` are given by Gradio.
const sure = (button, name, words, then) => { // the first press asks, the second does it
  if (button.dataset[name] === "sure") return then();
  button.dataset[name] = "sure";
  button.textContent = words;
};
element.addEventListener("click", (event) => {
  const at = (name) => event.target.closest(`[data-${name}]`);
  if (at("incident")) trigger("select", { incident: at("incident").dataset.incident });
  if (at("accept")) trigger("submit", { findings: at("accept").dataset.accept.split(" ") });
  if (at("release")) trigger("edit", { release: at("release").dataset.release });
  if (at("form")) trigger("download", { form: at("form").dataset.form });
  if (at("write")) trigger("click", {});
  if (at("dissolve")) sure(at("dissolve"), "dissolve", "Press again to dissolve it", () => trigger("edit", { dissolve: true }));
  if (at("edit")) edit(at("edit").dataset.edit === "open");
});
element.addEventListener("submit", (event) => {
  event.preventDefault();
  trigger("edit", Object.fromEntries(new FormData(event.target)));
});
element.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && event.target.name === "text" && element.querySelector(".told")) edit(false);
});
function edit(open) {
  const form = element.querySelector(".editor");
  form.hidden = !open;
  element.querySelector(".told").hidden = open;
  (open ? form.querySelector("textarea") : element.querySelector('[data-edit="open"]')).focus();
  if (!open) form.reset();
}
