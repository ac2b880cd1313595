// Texts whose contrast with the ground below them is under 4.5 : 1 (WCAG 2, AA), each with its ratio; what is disabled and
// what lies over pictures (with a ground of its own) is left out. Run in the page by tests/test_browser_centre.py.
() => {
  const parse = (c) => { const m = c.match(/[\d.]+/g).map(Number); return c.startsWith('color(srgb') ? [m[0]*255, m[1]*255, m[2]*255, m[3] ?? 1] : [m[0], m[1], m[2], m[3] ?? 1]; };
  const over = (a, b) => a.slice(0, 3).map((v, i) => v * a[3] + b[i] * (1 - a[3]));
  const light = (c) => { const [r, g, b] = c.map((v) => { v /= 255; return v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4; }); return .2126 * r + .7152 * g + .0722 * b; };
  const ground = (n) => { const stack = []; for (let e = n; e; e = e.parentElement) { const s = getComputedStyle(e); if (s.backgroundImage !== 'none' && s.backgroundImage.includes('gradient')) return null; stack.push(parse(s.backgroundColor)); } let c = [255, 255, 255]; for (const one of stack.reverse()) c = over(one, c); return c; };
  const found = [], seen = new Set(), walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const t = walk.currentNode.textContent.trim(), e = walk.currentNode.parentElement;
    if (!t || !e.checkVisibility({ opacityProperty: true, visibilityProperty: true }) || e.closest('svg, script, style, :disabled, .corner, .tag, option')) continue;
    const r = e.getBoundingClientRect(); if (r.width < 3 || r.height < 3) continue;
    const s = getComputedStyle(e), b = ground(e); if (!b) continue;
    let o = 1; for (let x = e; x; x = x.parentElement) o *= Number(getComputedStyle(x).opacity);
    const c = parse(s.color); c[3] *= o;
    const [x, y] = [light(over(c, b)), light(b)].sort((a, b) => b - a), ratio = (x + .05) / (y + .05);
    if (ratio < 4.5 && !seen.has(e.className + s.color)) { seen.add(e.className + s.color); found.push(`${ratio.toFixed(2)} ${t.slice(0, 40)} <${e.tagName.toLowerCase()} class="${e.className}">`); }
  }
  return found;
}
