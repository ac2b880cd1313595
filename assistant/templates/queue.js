// The queue. Runs once, inside the queue's component: `element` and `trigger` are given by Gradio.
// Sends ids, pages and labels to the server, never markup. The queue is drawn anew by the server; what a reader has
// picked is `wanted` until they go elsewhere. Answers may get lost or overtake each other on a busy machine: where another
// finding is shown, the wanted one is asked for again.
const AGAIN = 1500; // milliseconds without an answer after which a pick is sent again
const MOST = 8; // times in a row
const $ = (selector) => document.querySelector(selector);
const cards = () => [...element.querySelectorAll(".card")];
const current = () => cards().findIndex((card) => card.getAttribute("aria-current") === "true");
const shown = () => $(".head .id")?.textContent ?? "";
const send = (finding) => trigger("click", { finding, pick: performance.timeOrigin + performance.now() });
let wanted = "", asked = 0, times = 0, edge = 0;

function mark(finding) {
  const card = element.querySelector(`.card[data-finding="${finding}"]`);
  if (!card || card.getAttribute("aria-current") === "true") return;
  cards().forEach((other) => other.removeAttribute("aria-current"));
  card.setAttribute("aria-current", "true");
}

function pick(card) {
  mark(card.dataset.finding);
  document.dispatchEvent(new CustomEvent("finding-opened"));
  wanted = card.dataset.finding;
  asked = performance.now();
  times = 0;
  send(wanted);
}

setInterval(() => {
  if (shown() === wanted) times = 0;
  else if (wanted && performance.now() - asked > AGAIN) {
    asked = performance.now();
    times += 1;
    if (times > MOST) wanted = ""; // it cannot be shown; the server has said why
    else send(wanted);
  }
  mark(wanted || shown()); // a label's answer may bring a queue that was drawn before the latest pick
}, 250);

document.addEventListener("click", (event) => { // the reader goes elsewhere: what was picked is no longer wanted
  if (event.target.closest('a[href*="#"], [data-run], [data-news], [data-demo]')) wanted = "";
}, true);
document.addEventListener("change", (event) => { if (event.target.closest(".filters")) wanted = ""; });

element.addEventListener("click", (event) => {
  const page = event.target.closest("[data-page]"), card = event.target.closest("[data-finding]");
  const step = event.target.closest("[data-step]");
  if (page && !page.disabled) turn(Number(page.dataset.page), 0);
  if (step) move(Number(step.dataset.step));
  if (card) pick(card);
});

function turn(page, side) {
  edge = side; // which card to open once the page is there: its first (1), its last (-1), none (0)
  trigger("click", { page });
}

// The server's markup is merged into what is there, so scroll and focus stay; another page begins at its top.
let page = "0";
new MutationObserver(() => {
  const queue = element.querySelector(".queue");
  if (queue && queue.dataset.at !== page) {
    page = queue.dataset.at;
    queue.querySelector(".cards").scrollTop = 0;
  }
  if (!edge || !cards().length) return;
  const next = edge > 0 ? cards()[0] : cards().at(-1);
  edge = 0;
  show(next);
}).observe(element, { childList: true, subtree: true, attributes: true, attributeFilter: ["data-at", "data-finding"] });

function show(card) {
  pick(card);
  card.scrollIntoView({ block: "nearest" });
  card.focus({ preventScroll: true });
}

function move(step) {
  const next = cards()[current() + step];
  const pager = element.querySelectorAll(".pager [data-page]")[step > 0 ? 1 : 0];
  if (next) show(next);
  else if (pager && !pager.disabled) turn(Number(pager.dataset.page), step);
}

const typing = (node) => /^(INPUT|TEXTAREA|SELECT)$/.test(node?.tagName ?? "") && !/^(range|checkbox|button)$/.test(node.type);
const label = (word) => $(`#head [data-label="${word}"]`)?.click();
const keys = {
  j: () => move(1), k: () => move(-1),
  n: () => element.querySelectorAll(".pager [data-page]")[1]?.click(),
  p: () => element.querySelectorAll(".pager [data-page]")[0]?.click(),
  c: () => label("anomaly"), x: () => label("normal"), u: () => label("undo"),
  C: () => { label("anomaly"); move(1); }, X: () => { label("normal"); move(1); },
  "/": () => $('.filters input[name="search"]')?.focus(),
  "?": () => $("#keys-help")?.showModal(),
};
document.addEventListener("keydown", (event) => {
  if (typing(event.target) || event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
  const arrow = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  const inQueue = element.contains(event.target);
  if (arrow && inQueue) { event.preventDefault(); move(arrow); }
  else if (keys[event.key]) { event.preventDefault(); keys[event.key](); }
});
document.addEventListener("click", (event) => { if (event.target.closest("[data-help]")) keys["?"](); });
