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
  if (event.target.closest?.(".evidence .close")) closeDrawer();
  if (event.target.closest?.("#theme")) setTheme(!document.body.classList.contains("dark"));
}, true);

document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && $(".evidence")) closeDrawer();
});

function closeDrawer() { trigger("clear"); }

function setTheme(dark) {
  document.body.classList.toggle("dark", dark);
  try { localStorage.setItem("anomaly-theme", dark ? "dark" : "light"); } catch { /* a private window keeps no choice */ }
}
try { const kept = localStorage.getItem("anomaly-theme"); if (kept) setTheme(kept === "dark"); } catch { /* as above */ }
