// Choosing several findings in the queue: "Select several", Ctrl-click a card, or s. The queue is drawn anew by the
// server; what is chosen is kept here and marked again. `element` and `trigger` are given by Gradio.
const chosen = new Set();
let mode = false;
const cards = () => document.querySelectorAll("#queue .card");
const typing = (node) => /^(INPUT|TEXTAREA|SELECT)$/.test(node?.tagName ?? "");

function draw() {
  cards().forEach((card) => {
    const on = chosen.has(card.dataset.finding);
    if (card.classList.contains("chosen") !== on) card.classList.toggle("chosen", on);
  });
  const make = element.querySelector('[data-pick="make"]'), toggle = element.querySelector('[data-pick="mode"]');
  if (!make) return;
  make.hidden = !chosen.size;
  toggle.setAttribute("aria-pressed", String(mode));
  toggle.textContent = mode || chosen.size ? "☑ Done" : "☐ Select several";
  element.querySelector(".picked-what").textContent = chosen.size ? `${chosen.size} selected` : mode ? "tap findings" : "";
}
function turn(name) {
  if (chosen.has(name)) chosen.delete(name); else chosen.add(name);
  draw();
}
document.addEventListener("click", (event) => {
  const card = event.target.closest?.("#queue .card");
  if (!card || !(mode || event.ctrlKey || event.metaKey)) return;
  event.preventDefault();
  event.stopPropagation(); // chosen, not opened
  turn(card.dataset.finding);
}, true);
document.addEventListener("keydown", (event) => {
  if (event.key !== "s" || typing(event.target) || event.ctrlKey || event.metaKey || event.altKey) return;
  const card = document.querySelector('#queue .card[aria-current="true"]');
  if (card) turn(card.dataset.finding);
});
element.addEventListener("click", (event) => {
  const what = event.target.closest("[data-pick]")?.dataset.pick;
  if (what === "mode") { mode = !(mode || chosen.size); if (!mode) chosen.clear(); draw(); }
  if (what === "make") { const findings = [...chosen]; chosen.clear(); mode = false; draw(); trigger("submit", { findings }); }
});
const queue = document.querySelector("#queue");
if (queue) new MutationObserver(draw).observe(queue, { childList: true, subtree: true });
// What an incident cites lies on the Findings tab, which comes up with it.
document.addEventListener("click", (event) => {
  if (event.target.closest?.('#cases a[href^="#"], #cases a[href*="/#"]')) document.querySelector('#page-tabs button[role="tab"]')?.click();
}, true);
document.addEventListener("click", (event) => {
  const demo = event.target.closest?.("[data-demo]");
  if (!demo) return;
  demo.disabled = true;
  trigger("click", {});
});
