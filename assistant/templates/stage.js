// The finding in hand: opacity, before and after, zoom, a box to draw, the clip's player, the brush over a plot.
// Runs once, inside the stage's component: `element` and `trigger` are given by Gradio. Asks the server only for what
// must be computed (a place to repair) or answered (a question about a place).
const root = document.documentElement;
const $ = (selector) => document.querySelector(selector);
const clamp = (value, low, high) => Math.min(high, Math.max(low, value));
const inCentre = (event) => event.target.closest?.("#centre") || event.target === document.body;
const typing = (node) => /^(INPUT|TEXTAREA|SELECT)$/.test(node?.tagName ?? "") && node.type !== "checkbox";

// --- sliders -------------------------------------------------------------------------------------------------------
document.addEventListener("input", (event) => {
  const node = event.target, has = (name) => node.classList?.contains(name);
  if (has("heat-slider")) root.style.setProperty("--heat", node.value / 100);
  if (has("cut-slider")) node.closest(".stage").style.setProperty("--cut", `${node.value}%`);
  if (has("marks-toggle")) node.closest(".stage").classList.toggle("no-marks", !node.checked);
  if (has("seek")) frame(node.closest(".player"), Number(node.value));
  if (has("heat-toggle")) frame(node.closest(".player"));
});

// --- zoom and pan; both panes move together --------------------------------------------------------------------------
let zoom = { k: 1, x: 0, y: 0 };
const apply = () => document.querySelectorAll(".zoom").forEach((node) => {
  node.style.setProperty("--k", zoom.k);
  node.style.transform = zoom.k === 1 ? "" : `translate(${zoom.x * 100}%, ${zoom.y * 100}%) scale(${zoom.k})`;
});
function zoomAt(x, y, factor) { // x, y: share of the pane
  const k = clamp(zoom.k * factor, 1, 12), ratio = k / zoom.k;
  zoom = { k, x: x - (x - zoom.x) * ratio, y: y - (y - zoom.y) * ratio };
  settle();
}
function settle() {
  for (const axis of ["x", "y"]) zoom[axis] = clamp(zoom[axis], 1 - zoom.k, 0);
  apply();
}
const whole = () => { zoom = { k: 1, x: 0, y: 0 }; apply(); };
const within = (pane, event) => {
  const area = pane.getBoundingClientRect();
  return [(event.clientX - area.left) / area.width, (event.clientY - area.top) / area.height];
};
document.addEventListener("wheel", (event) => {
  const pane = event.target.closest?.(".pane");
  if (!pane || !(event.ctrlKey || event.shiftKey || zoom.k > 1 || event.altKey)) return;
  event.preventDefault();
  zoomAt(...within(pane, event), Math.exp(-(event.deltaY || event.deltaX) / 400));
}, { passive: false });
document.addEventListener("dblclick", (event) => {
  const pane = event.target.closest?.(".pane");
  if (!pane || drawing() || event.target.closest(".chooser")) return;
  if (zoom.k > 1) whole(); else zoomAt(...within(pane, event), 3);
});
const ways = { in: () => zoomAt(0.5, 0.5, 1.5), out: () => zoomAt(0.5, 0.5, 1 / 1.5), fit: whole };

// --- a box in the picture, in pixels of the input ----------------------------------------------------------------------
let box = null; // [left, top, right, bottom]
const stage = () => element.querySelector(".stage");
const drawing = () => stage()?.classList.contains("drawing") ?? false;
const size = () => [Number(stage().dataset.width), Number(stage().dataset.height)];
function setDrawing(on) {
  stage()?.classList.toggle("drawing", on);
  element.querySelector(".draw")?.setAttribute("aria-pressed", String(on));
  if (!on) putAway();
}
function putAway() {
  box = null;
  paint();
}
function paint() {
  element.querySelectorAll(".drawn rect").forEach((rect) => {
    const [left, top, right, bottom] = box ?? [0, 0, 0, 0];
    for (const [name, value] of Object.entries({ x: left, y: top, width: right - left, height: bottom - top })) rect.setAttribute(name, value);
  });
  const chooser = element.querySelector(".pane .chooser");
  if (!chooser) return;
  chooser.hidden = !box || Boolean(drag?.from);
  if (box) chooser.classList.toggle("above", box[1] + box[3] > size()[1]); // beside the box, not over it
  if (box) chooser.querySelector(".what").textContent = `${box[2] - box[0]} × ${box[3] - box[1]} px at ${box[0]}, ${box[1]}`;
}
const pixel = (pane, event) => within(pane, event).map((share, axis) =>
  clamp((share - zoom["xy"[axis]]) / zoom.k, 0, 1) * size()[axis]);
const spanned = (one, other) => {
  const low = one.map((v, axis) => Math.floor(Math.min(v, other[axis]))), high = one.map((v, axis) => Math.ceil(Math.max(v, other[axis])));
  return [...low, ...high];
};
function startBox() { // for the keyboard: a box in the middle
  const [width, height] = size();
  box = [width * 0.4, height * 0.4, width * 0.6, height * 0.6].map(Math.round);
  paint();
  element.querySelector(".pane.drawable").focus();
}
function nudge(key, sizing) {
  const [width, height] = size(), step = Math.max(1, Math.round(width / 100));
  const [x, y] = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step] }[key];
  const [left, top, right, bottom] = box;
  if (sizing) box = [left, top, clamp(right + x, left + 1, width), clamp(bottom + y, top + 1, height)];
  else {
    const dx = clamp(x, -left, width - right), dy = clamp(y, -top, height - bottom);
    box = [left + dx, top + dy, right + dx, bottom + dy];
  }
  paint();
}
let drag = null;
document.addEventListener("pointerdown", (event) => {
  const pane = event.target.closest?.(".pane");
  if (!pane || event.target.closest(".chooser") || event.target.classList.contains("cut-slider")) return;
  if (drawing() && pane.classList.contains("drawable")) drag = { pane, from: pixel(pane, event) };
  else if (zoom.k > 1) drag = { pane, x: event.clientX, y: event.clientY };
  if (drag) pane.setPointerCapture?.(event.pointerId);
});
document.addEventListener("pointermove", (event) => {
  if (!drag) return;
  if (drag.from) { box = spanned(drag.from, pixel(drag.pane, event)); paint(); return; }
  const area = drag.pane.getBoundingClientRect();
  zoom.x += (event.clientX - drag.x) / area.width;
  zoom.y += (event.clientY - drag.y) / area.height;
  drag = { ...drag, x: event.clientX, y: event.clientY };
  settle();
});
document.addEventListener("pointerup", () => {
  if (!drag) return;
  const drawn = drag.from;
  drag = null;
  if (drawn && box && (box[2] - box[0] < 2 || box[3] - box[1] < 2)) putAway(); else if (drawn) paint();
});

// --- a stretch of an event: brushed over the plot ------------------------------------------------------------------------
let rows = null; // [first, last]
function stretchOf(plot, range) {
  const score = plot.calcdata?.find((points) => points[0]?.trace?.name === "score");
  if (!score) return null;
  const axis = plot._fullLayout.xaxis, [low, high] = range.map((value) => axis.r2c(value));
  const inside = score.filter((point) => point.x >= low && point.x <= high);
  const number = (point) => Number(score[0].trace.customdata[point.i]);
  return inside.length ? [number(inside[0]), number(inside.at(-1))] : null;
}
function brushed(plot, event) {
  const key = Object.keys(event?.range ?? {}).find((name) => name.startsWith("x"));
  rows = key ? stretchOf(plot, event.range[key]) : null;
  const chooser = $(".chooser.brush");
  if (!chooser) return;
  chooser.hidden = !rows;
  if (rows) {
    const words = event.range[key].map((value) => (typeof value === "string" ? value.slice(0, 16) : Math.round(value)));
    chooser.querySelector(".what").textContent = `${words.join(" to ")} (rows ${rows[0]} to ${rows[1]})`;
  }
}
setInterval(() => { // a plot is made anew for each finding; there is no event for that
  if ($(".evidence, .toast-wrap > *")) document.querySelectorAll(".chooser.busy").forEach((chooser) => chooser.classList.remove("busy"));
  const plot = $("#plot .js-plotly-plot");
  if (!plot?.on || plot.dataset.watched) return;
  plot.dataset.watched = "yes";
  $("#plot").classList.remove("old");
  plot.on("plotly_selected", (event) => brushed(plot, event));
  plot.on("plotly_deselect", () => brushed(plot, null));
  const player = element.querySelector(".player");
  if (!player) return;
  frame(player);
  plot.on("plotly_click", (event) => {
    const point = event.points.find((one) => one.data.name === "score") ?? event.points[0];
    frame(player, Number(player.dataset.first) + point.pointIndex);
  });
}, 400);

// --- what to do with a place -------------------------------------------------------------------------------------------
const finding = () => $(".head .id")?.textContent ?? "";
function place(what, chooser) {
  const brush = chooser.classList.contains("brush");
  if (what === "none") { if (brush) { rows = null; chooser.hidden = true; } else putAway(); return; }
  const chosen = brush ? { rows } : { box };
  if (!chosen.rows && !chosen.box) return;
  const named = brush ? `rows [${rows.join(", ")}]` : `the box [${box.join(", ")}]`;
  if (what === "repair") { chooser.classList.add("busy"); trigger("click", { finding: finding(), ...chosen }); }
  else trigger("select", { ask: `What is in ${named} of ${finding()}?` });
}
document.addEventListener("click", (event) => {
  const near = (selector) => event.target.closest?.(selector);
  if (near("[data-zoom]")) ways[near("[data-zoom]").dataset.zoom]();
  if (near(".draw")) { setDrawing(!drawing()); if (drawing() && event.detail === 0) startBox(); }
  if (near("[data-place]")) place(near("[data-place]").dataset.place, near(".chooser"));
  if (near("[data-go]")) go(near(".player"), near("[data-go]").dataset.go);
  if (near(".curve")) {
    const player = near(".player"), area = near(".curve").getBoundingClientRect();
    const [first, last] = ends(player);
    frame(player, Math.round(first + (last - first) * clamp((event.clientX - area.left) / area.width, 0, 1)));
  }
});
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || $("dialog[open]")) return;
  const player = event.target.closest?.(".player");
  if (player && /^Arrow(Left|Right)$/.test(event.key) && event.target.type !== "range") {
    event.preventDefault();
    go(player, event.key === "ArrowLeft" ? "-1" : "1");
    return;
  }
  if (typing(event.target)) return;
  if (event.key === "Escape" && drawing()) setDrawing(false);
  if (box && event.key.startsWith("Arrow") && event.target.closest?.(".pane.drawable")) { event.preventDefault(); nudge(event.key, event.shiftKey); }
  else if (box && event.key === "Enter" && event.target.closest?.(".pane.drawable")) element.querySelector('.chooser [data-place="ask"]').focus();
  else if (!stage()) return;
  else if (event.key === "b") { event.preventDefault(); setDrawing(!drawing()); if (drawing()) startBox(); }
  else if (event.key === "+" || event.key === "=") ways.in();
  else if (event.key === "-") ways.out();
  else if (event.key === "0") whole();
});
document.addEventListener("finding-opened", () => { $("#plot")?.classList.add("old"); whole(); setDrawing(false); rows = null; clearInterval(playing); playing = 0; });

// --- a clip: frames with the score under them -----------------------------------------------------------------------------
let playing = 0;
const list = (player, name) => JSON.parse(player.dataset[name]);
const ends = (player) => { const seek = player.querySelector(".seek"); return [Number(seek.min), Number(seek.max)]; };
const short = (value) => (value === null ? "–" : Number(value.toPrecision(3)).toString());
function frame(player, wanted) {
  const seek = player.querySelector(".seek"), [first, last] = ends(player);
  const at = clamp(wanted ?? Number(seek.value), first, last), scores = list(player, "scores"), p = list(player, "p");
  seek.value = at;
  const pictures = [...player.querySelectorAll("[data-frame]")];
  const nearest = pictures.reduce((best, one) =>
    Math.abs(one.dataset.frame - at) < Math.abs(best.dataset.frame - at) ? one : best, pictures[0]);
  pictures.forEach((one) => { one.hidden = one !== nearest; });
  const wish = player.querySelector(".heat-toggle");
  player.querySelectorAll("[data-heat]").forEach((one) => { one.hidden = !wish?.checked || one.dataset.heat !== nearest?.dataset.frame; });
  const from = Number(player.dataset.first), i = at - from, times = list(player, "times");
  player.querySelector(".needle").style.left = `${(100 * (at - first)) / Math.max(1, last - first)}%`;
  const shown = nearest && Number(nearest.dataset.frame) !== at ? `, picture of ${player.dataset.unit} ${nearest.dataset.frame}` : "";
  const flagged = p[i] !== null && p[i] <= Number(player.dataset.alpha) ? " · flagged" : "";
  const when = times[i] ? ` · ${times[i]}` : "";
  follow(at);
  player.querySelector(".now").textContent = `${player.dataset.unit} ${at}${when} · score ${short(scores[i])} · p ${short(p[i])}${flagged}${shown}`;
}
function follow(at) { // the same step in the plot below, where there is one
  const plot = $("#plot .js-plotly-plot"), score = plot?.calcdata?.find((points) => points[0]?.trace?.name === "score");
  let needle = $("#plot .needle");
  const point = score?.find((one) => Number(score[0].trace.customdata[one.i]) === at);
  if (!point) { needle?.remove(); return; }
  if (!needle) { needle = document.createElement("i"); needle.className = "needle"; needle.ariaHidden = "true"; plot.append(needle); }
  const { xaxis, _size } = plot._fullLayout;
  needle.style.cssText = `left: ${xaxis._offset + xaxis.c2p(point.x)}px; top: ${_size.t}px; bottom: ${_size.b}px`;
}
function go(player, way) {
  const [first, last] = ends(player), at = Number(player.querySelector(".seek").value);
  const p = list(player, "p"), from = Number(player.dataset.first), alpha = Number(player.dataset.alpha);
  const flagged = p.map((value, i) => [value, from + i]).filter(([value]) => value !== null && value <= alpha).map(([, n]) => n);
  if (way === "play") { play(player); return; }
  if (way === "peak") frame(player, Number(player.dataset.peak));
  else if (way === "flag-on") frame(player, flagged.find((n) => n > at) ?? at);
  else if (way === "flag-back") frame(player, flagged.findLast((n) => n < at) ?? at);
  else frame(player, clamp(at + Number(way), first, last));
}
function play(player) {
  const button = player.querySelector('[data-go="play"]');
  if (playing) { clearInterval(playing); playing = 0; button.textContent = "▶"; return; }
  button.textContent = "❚❚";
  playing = setInterval(() => {
    const [first, last] = ends(player), at = Number(player.querySelector(".seek").value);
    if (!player.isConnected) { clearInterval(playing); playing = 0; return; }
    frame(player, at >= last ? first : at + 1);
  }, 120);
}

// The server's markup is merged into what is there: what a reader has moved stays moved, unless the finding is another.
let inHand = "";
const shownBy = new WeakMap(); // player -> the finding that it shows
new MutationObserver(() => {
  const now = stage(), name = `${now?.dataset.finding} ${now?.querySelector(".corner.right")?.textContent}`;
  if (now && name !== inHand) {
    inHand = name;
    const cut = now.querySelector(".cut-slider");
    if (cut) cut.value = cut.defaultValue;
    apply();
  }
  now?.classList.toggle("no-marks", !now.querySelector(".marks-toggle").checked);
  element.querySelectorAll(".player").forEach((player) => {
    if (shownBy.get(player) === player.dataset.finding && player.querySelector(".now").textContent) return;
    shownBy.set(player, player.dataset.finding);
    frame(player, Number(player.dataset.peak));
  });
}).observe(element, { childList: true, subtree: true, attributes: true, attributeFilter: ["data-finding", "src"] });
