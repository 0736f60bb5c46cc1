'use strict';

// Pictures through time: one is shown, and its name told.
for (const slider of document.querySelectorAll('.slider')) {
  const pictures = [...slider.querySelectorAll('img')];
  const input = slider.querySelector('input');
  const told = slider.querySelector('output');
  const show = () => {
    pictures.forEach((p, i) => p.classList.toggle('shown', i === +input.value));
    told.textContent = pictures[+input.value].alt;
  };
  input.addEventListener('input', show);
  show();
}

// Curves: panels of series over x, drawn as SVG at the width that there is.
const HEIGHT = 210, LEFT = 52, RIGHT = 18, TOP = 6, BOTTOM = 24;

function short(value) {
  const size = Math.abs(value);
  if (size >= 1e6) return +(value / 1e6).toPrecision(3) + 'M';
  if (size >= 1e4) return +(value / 1e3).toPrecision(3) + 'k';
  if (size && size < 1e-3) return value.toExponential(1);
  return String(+value.toPrecision(3));
}

function ticks(low, high, most) {
  const rough = (high - low) / most;
  const unit = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].find(n => n * unit >= rough) * unit;
  const found = [], first = Math.ceil(low / step - 1e-9);
  for (let n = 0; n < 100 && (first + n) * step <= high + 1e-9 * step; n++)
    found.push((first + n) * step);
  return found;
}

function scales(panel, width) {
  const xs = panel.series.flatMap(s => s.x);
  const x0 = Math.min(...xs), x1 = Math.max(...xs, x0 + 1);
  const [y0, y1] = panel.limits;
  return {
    x0, x1, y0, y1, width,
    x: v => LEFT + (v - x0) / (x1 - x0) * (width - LEFT - RIGHT),
    y: v => TOP + (y1 - Math.min(Math.max(v, y0), y1)) / (y1 - y0)
      * (HEIGHT - TOP - BOTTOM),
  };
}

// A path through points; a gap where a number is missing.
function path(x, y, at) {
  let line = '', pen = 'M';
  x.forEach((v, i) => {
    if (y[i] === null) { pen = 'M'; return; }
    line += pen + at.x(v).toFixed(1) + ' ' + at.y(y[i]).toFixed(1);
    pen = 'L';
  });
  return line;
}

function band(series, at) {
  const known = series.x.map((_, i) => i).filter(i => series.low[i] !== null);
  const up = known.map(i => [series.x[i], series.high[i]]);
  const down = known.map(i => [series.x[i], series.low[i]]).reverse();
  const points = [...up, ...down].map(([x, y]) => at.x(x) + ',' + at.y(y));
  return `<polygon class="band" fill="${colour(series)}" points="${points.join(' ')}"/>`;
}

const colour = series => `var(--c${series.colour % 10})`;

function svg(panel, at) {
  let out = '';
  for (const v of ticks(at.y0, at.y1, 5))
    out += `<line class="grid" x1="${LEFT}" x2="${at.width - RIGHT}" y1="${at.y(v)}"
      y2="${at.y(v)}"/><text x="${LEFT - 6}" y="${at.y(v) + 4}"
      text-anchor="end">${short(v)}</text>`;
  for (const v of ticks(at.x0, at.x1, Math.max(2, at.width / 90)))
    out += `<text x="${at.x(v)}" y="${HEIGHT - 8}" text-anchor="middle">${short(v)}</text>`;
  for (const s of panel.series) {
    const stroke = `fill="none" stroke="${colour(s)}"`;
    if (s.low) out += band(s, at);
    if (s.raw) out += `<path class="raw" ${stroke} d="${path(s.x, s.raw, at)}"/>`;
    if (s.x.length > 1)
      out += `<path ${stroke} stroke-width="1.8" stroke-dasharray="${s.dash || ''}"
        d="${path(s.x, s.y, at)}"/>`;
    if (s.points || s.x.length === 1)
      s.x.forEach((v, i) => {
        if (s.y[i] !== null)
          out += `<circle cx="${at.x(v)}" cy="${at.y(s.y[i])}" r="3" fill="${colour(s)}"/>`;
      });
  }
  return out + `<line class="cursor" stroke="var(--pale)" visibility="hidden" y1="${TOP}"
    y2="${HEIGHT - BOTTOM}"/>`;
}

function key(panel, at) {
  return panel.series.map(s => {
    let value = '';
    if (at !== undefined) {
      let i = 0;
      s.x.forEach((v, j) => { if (Math.abs(v - at) < Math.abs(s.x[i] - at)) i = j; });
      value = s.y[i] === null ? ' –' : ' ' + short(s.y[i]);
    }
    return `<span style="color:${colour(s)}">${s.name}${value}</span>`;
  }).join('') + (at === undefined ? '' : `<span class="pale">at ${short(at)}</span>`);
}

function draw(box, panel) {
  const width = Math.max(box.clientWidth, 240), at = scales(panel, width);
  const picture = box.querySelector('svg'), legend = box.querySelector('.key');
  picture.setAttribute('viewBox', `0 0 ${width} ${HEIGHT}`);
  picture.innerHTML = svg(panel, at);
  legend.innerHTML = key(panel);
  const cursor = picture.querySelector('.cursor');
  picture.onpointermove = event => {
    const share = (event.offsetX - LEFT) / (width - LEFT - RIGHT);
    const x = at.x0 + Math.min(Math.max(share, 0), 1) * (at.x1 - at.x0);
    const known = panel.series[0].x;
    const nearest = known.reduce((a, b) => Math.abs(b - x) < Math.abs(a - x) ? b : a);
    cursor.setAttribute('visibility', 'visible');
    cursor.setAttribute('x1', at.x(nearest));
    cursor.setAttribute('x2', at.x(nearest));
    legend.innerHTML = key(panel, nearest);
  };
  picture.onpointerleave = () => {
    cursor.setAttribute('visibility', 'hidden');
    legend.innerHTML = key(panel);
  };
}

for (const group of document.querySelectorAll('.charts')) {
  const panels = JSON.parse(group.querySelector('script').textContent);
  const boxes = [...group.querySelectorAll('.chart')];
  const all = () => boxes.forEach((box, i) => draw(box, panels[i]));
  addEventListener('resize', all);
  all();
}
