// The page's own behaviour. Runs once, inside the bridge component: `element`, `trigger` and `props` are given by Gradio.
// Sends ids and choices to the server, never markup; moves sliders, zoom and focus without asking the server.
const root = document.documentElement;
const typing = (node) => node && /^(INPUT|TEXTAREA|SELECT)$/.test(node.tagName) && node.type !== "range" && node.type !== "checkbox";
const $ = (selector) => document.querySelector(selector);

document.addEventListener("click", (event) => {
  const link = event.target.closest?.('a[href^="#"], a[href*="/#"]');
  const [, id, facts] = (link && link.getAttribute("href").match(/#([EFRI]\d+)(?:\/(.+))?$/)) || [];
  if (id) {
    event.preventDefault();
    event.stopPropagation();
    trigger("select", { id, facts: decodeURIComponent(facts || "") });
    return;
  }
  const step = event.target.closest?.("[data-step]");
  if (step) move(Number(step.dataset.step));
  if (event.target.closest?.(".evidence .close")) closeDrawer();
  if (event.target.closest?.("#theme")) setTheme(!document.body.classList.contains("dark"));
}, true);

document.addEventListener("input", (event) => {
  const node = event.target;
  if (node.classList?.contains("heat-slider")) root.style.setProperty("--heat", node.value / 100);
  if (node.classList?.contains("cut-slider")) node.closest(".stage").style.setProperty("--cut", `${node.value}%`);
  if (node.classList?.contains("marks-toggle")) node.closest(".stage").classList.toggle("no-marks", !node.checked);
});

document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && $(".evidence")) closeDrawer();
  if (typing(event.target) || event.ctrlKey || event.metaKey || event.altKey) return;
  const steps = { j: 1, k: -1 };
  const buttons = { c: '[data-label="anomaly"]', x: '[data-label="normal"]' };
  if (event.key in steps) move(steps[event.key]);
  else if (event.key in buttons) $(buttons[event.key])?.click();
  else if (event.key === "/") { event.preventDefault(); $('.filters input[name="search"]')?.focus(); }
});

function move(step) {
  const cards = [...document.querySelectorAll(".card")];
  const at = cards.findIndex((card) => card.getAttribute("aria-current") === "true");
  const next = cards[at + step];
  if (next) { next.click(); next.scrollIntoView({ block: "nearest" }); next.focus({ preventScroll: true }); }
  else document.querySelectorAll(".pager [data-page]")[step > 0 ? 1 : 0]?.click();
}

function closeDrawer() { trigger("clear"); }

function setTheme(dark) {
  document.body.classList.toggle("dark", dark);
  try { localStorage.setItem("anomaly-theme", dark ? "dark" : "light"); } catch { /* a private window keeps no choice */ }
}
try { const kept = localStorage.getItem("anomaly-theme"); if (kept) setTheme(kept === "dark"); } catch { /* as above */ }

// Zoom with the wheel, pan by dragging, double click to return; both panes move together.
let zoom = { k: 1, x: 0, y: 0 };
const apply = () => document.querySelectorAll(".zoom").forEach((node) => {
  node.style.setProperty("--k", zoom.k);
  node.style.transform = zoom.k === 1 ? "" : `translate(${zoom.x * 100}%, ${zoom.y * 100}%) scale(${zoom.k})`;
});
const settle = () => {
  zoom.k = Math.min(12, Math.max(1, zoom.k));
  for (const axis of ["x", "y"]) zoom[axis] = Math.min(0, Math.max(1 - zoom.k, zoom[axis]));
  apply();
};
function scaleAt(pane, clientX, clientY, factor) {
  const area = pane.getBoundingClientRect();
  const x = (clientX - area.left) / area.width, y = (clientY - area.top) / area.height;
  const k = Math.min(12, Math.max(1, zoom.k * factor)), ratio = k / zoom.k;
  zoom = { k, x: x - (x - zoom.x) * ratio, y: y - (y - zoom.y) * ratio };
  settle();
}
document.addEventListener("wheel", (event) => {
  const pane = event.target.closest?.(".pane");
  if (!pane || !(event.ctrlKey || event.shiftKey || zoom.k > 1 || event.altKey)) return;
  event.preventDefault();
  scaleAt(pane, event.clientX, event.clientY, Math.exp(-(event.deltaY || event.deltaX) / 400));
}, { passive: false });
document.addEventListener("dblclick", (event) => {
  const pane = event.target.closest?.(".pane");
  if (!pane) return;
  if (zoom.k > 1) { zoom = { k: 1, x: 0, y: 0 }; apply(); } else scaleAt(pane, event.clientX, event.clientY, 3);
});
let drag = null;
document.addEventListener("pointerdown", (event) => {
  const pane = event.target.closest?.(".pane");
  if (pane && zoom.k > 1 && !event.target.classList.contains("cut-slider")) drag = { pane, x: event.clientX, y: event.clientY };
});
document.addEventListener("pointermove", (event) => {
  if (!drag) return;
  const area = drag.pane.getBoundingClientRect();
  zoom.x += (event.clientX - drag.x) / area.width;
  zoom.y += (event.clientY - drag.y) / area.height;
  drag = { ...drag, x: event.clientX, y: event.clientY };
  settle();
});
document.addEventListener("pointerup", () => { drag = null; });
document.addEventListener("finding-opened", () => { zoom = { k: 1, x: 0, y: 0 }; apply(); });
