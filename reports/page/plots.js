"use strict";
/* The interactive figures: dose curves and atoms in 3D. `data` is the JSON that the page carries. */

const dark = window.matchMedia("(prefers-color-scheme: dark)");
const themeColour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const methodColour = (method) => (dark.matches ? method.colour_dark : method.colour);
const finite = (value) => value !== null && value !== undefined;

/* Images without noise state this dose; they are drawn right of all others. */
const NOISE_FREE = 1e9;
const doseWords = (dose) => (dose >= NOISE_FREE ? "infinite dose (noise-free)" : `${doseText(dose)} e⁻/Å² per image`);
const placeOf = (axis) => (dose) => (dose >= NOISE_FREE ? axis.noise_free_at : dose);
/* As many ticks as have room on `width` [CSS pixel]; that of images without noise always stays. */
function doseTicks(axis, width) {
  const [low, high] = axis.dose_range.map(Math.log10);
  const pixel = (dose) => ((Math.log10(dose) - low) / (high - low)) * width;
  const end = axis.noise_free_at ? pixel(axis.noise_free_at) - 34 : Infinity;
  let last = -Infinity;
  const kept = axis.ticks.filter((dose) => {
    const fits = pixel(dose) - last >= 40 && pixel(dose) + 18 <= end;
    if (fits) last = pixel(dose);
    return fits;
  });
  return {
    tickangle: 0,
    tickvals: [...kept, ...(axis.noise_free_at ? [axis.noise_free_at] : [])],
    ticktext: [...kept.map(doseText), ...(axis.noise_free_at ? ["noise-free"] : [])],
  };
}
/* A point without noise stands apart: no line leads to it. */
function parted(points, dose) {
  const cut = points.findIndex((p) => dose(p) >= NOISE_FREE);
  return cut > 0 ? [...points.slice(0, cut), null, ...points.slice(cut)] : points;
}

const SUPERSCRIPT = "⁰¹²³⁴⁵⁶⁷⁸⁹";
function doseText(dose) {
  if (dose >= NOISE_FREE) return "noise-free";
  const three = dose.toExponential(2);
  const exact = Math.abs(dose - Number(three)) <= 1e-9 * dose;
  const written = exact ? three : dose.toExponential(1);
  const [mantissa, exponent] = written.split("e").map(Number);
  if (exponent >= 0 && exponent < 3) return String(Number(written));
  const digits = String(Math.abs(exponent)).replace(/\d/g, (digit) => SUPERSCRIPT[digit]);
  return `${mantissa === 1 ? "" : `${mantissa}×`}10${exponent < 0 ? "⁻" : ""}${digits}`;
}
function numberText(value) {
  if (!finite(value)) return "–";
  if (value === 0 || value === 100 || Math.abs(value) >= 999.95) return value.toFixed(0);
  return Math.abs(value) >= 0.1 ? value.toFixed(1) : String(Number(value.toPrecision(2)));
}

/* Positions moved apart until neighbours are `gap` away, kept within [low, high]. */
function spread(positions, gap, low, high) {
  const order = positions.map((_, i) => i).sort((a, b) => positions[a] - positions[b]);
  const moved = [];
  let floor = low;
  for (const i of order) { moved[i] = Math.max(Math.min(Math.max(positions[i], low), high), floor); floor = moved[i] + gap; }
  let ceiling = high;
  for (const i of order.reverse()) { moved[i] = Math.min(moved[i], ceiling); ceiling = moved[i] - gap; }
  return moved;
}

const QUIET_CONFIG = { displayModeBar: false, responsive: true, scrollZoom: false, doubleClick: false };

function baseLayout() {
  const ink = themeColour("--ink"), quiet = themeColour("--quiet"), line = themeColour("--line");
  return {
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", showlegend: false,
    font: { family: getComputedStyle(document.body).fontFamily, size: 12, color: ink },
    hoverlabel: { bgcolor: themeColour("--ground"), bordercolor: themeColour("--line-strong"), font: { color: ink, size: 12 }, align: "left" },
    ink, quiet, line,
  };
}

/* One panel: a metric against dose. */
function drawCurve(box, data, dataset, shown) {
  const metric = data.metrics.find((m) => m.key === box.dataset.metric);
  const specimen = data.datasets.find((d) => d.name === dataset);
  box.closest("figure").hidden = !specimen.panels.includes(metric.key);
  if (box.closest("figure").hidden) return;
  const range = metric.ranges[dataset], at = placeOf(specimen);
  const { ink, quiet, line, ...layout } = baseLayout();
  const traces = [], ends = [];
  const own = data.methods.filter((method, index) => shown.has(index) && !method.control).length;
  const shade = 0.2 * Math.min(1, 4 / Math.max(own, 1)); // many bands over each other would hide the curves
  data.methods.forEach((method, index) => {
    if (!shown.has(index)) return;
    const rows = parted(data.rows.filter((r) => r.dataset === dataset && r.method === method.name && finite(r.values[metric.key].mean)), (r) => r.dose);
    if (!rows.length) return;
    const colour = methodColour(method);
    const zorder = data.methods.length - index;
    const dose = rows.map((r) => (r ? at(r.dose) : null));
    const part = (name) => rows.map((r) => (r && finite(r.values[metric.key][name]) ? r.values[metric.key][name] * metric.scale : null));
    const low = part("low"), high = part("high"), mean = part("mean");
    const banded = rows.map((_, i) => i).filter((i) => low[i] !== null && high[i] !== null && rows[i].dose < NOISE_FREE);
    const floor = range[2] ? range[0] * 0.2 : -Infinity;
    if (banded.length > 1 && !method.control) traces.push({
      x: [...banded.map((i) => dose[i]), ...banded.map((i) => dose[i]).reverse()],
      y: [...banded.map((i) => high[i]), ...banded.map((i) => Math.max(low[i], floor)).reverse()],
      type: "scatter", mode: "lines", fill: "toself", fillcolor: colour, line: { width: 0 }, opacity: shade, hoverinfo: "skip", zorder,
    });
    const unit = metric.shown_unit ? ` ${metric.shown_unit}` : "";
    const text = rows.map((r, i) => {
      if (!r) return "";
      const where = specimen.noise_free_at ? `${doseText(r.dose)}: ` : "";
      const interval = low[i] !== null && high[i] > low[i] ? ` [${numberText(low[i])}, ${numberText(high[i])}]` : "";
      const failed = r.failures ? `, ${r.failures} failed` : "";
      return `${where}<b>${escapeText(method.name)}</b> ${numberText(mean[i])}${unit}${interval}  <span style="color:${quiet}">n = ${r.n}${failed}</span>`;
    });
    traces.push({
      x: dose, y: mean, type: "scatter", mode: method.control ? "lines" : "lines+markers", cliponaxis: mean.some((v) => v > range[1]),
      line: { color: colour, width: method.control ? 1.3 : 2.2, dash: method.dash },
      marker: { symbol: method.symbol, size: 7, color: colour, line: { color: themeColour("--ground"), width: 1 } },
      text, hovertemplate: "%{text}<extra></extra>", name: method.name, zorder: zorder + 100,
    });
    ends.push([mean[mean.length - 1], method.name, colour]);
  });
  const bound = specimen.bound[metric.key] || [];
  if (bound.length) {
    const least = bound.map((pair) => pair[1]);
    traces.push({
      x: bound.map((pair) => pair[0]), y: least, type: "scatter", mode: "lines", line: { color: ink, width: 1.6, dash: "1px,2px" },
      text: least.map((v) => `<b>bound</b> ${numberText(v)} ${metric.shown_unit}`), hovertemplate: "%{text}<extra></extra>", name: "bound", zorder: 200,
    });
    ends.push([least[least.length - 1], "bound", ink]);
  }
  const marks = specimen.published[metric.key] || [];
  if (marks.length) traces.push({
    x: marks.map((m) => at(m[0])), y: marks.map((m) => m[1]), type: "scatter", mode: "markers", marker: { symbol: "line-ew", size: 15, line: { color: ink, width: 2.5 } },
    text: marks.map((m) => `<b>${escapeText(m[2])}</b> ${numberText(m[1])} ${metric.shown_unit}`), hovertemplate: "%{text}<extra></extra>", name: "paper", zorder: 210,
  });
  const scale = (v) => (range[2] ? Math.log10(Math.max(v, range[0])) : v);
  const bottom = scale(range[0]), top = scale(range[1]);
  const narrow = box.clientWidth < 420;
  const longest = Math.max(...data.methods.map((m) => Math.min(m.name.length, 18)));
  const total = specimen.n_images;
  const right = Math.min(30 + longest * 6.6, narrow ? 100 : 150);
  const margin = { l: 46, r: right, t: total ? 40 : 12, b: 40 };
  const height = box.clientHeight - margin.t - margin.b;
  const wanted = ends.map(([value]) => (scale(value) - bottom) / (top - bottom));
  const placed = spread(wanted, 13.5 / height, 0, 1);
  const fitting = Math.max(4, Math.floor((right - 20) / 6.8));
  const annotations = ends.map(([, name, colour], i) => ({
    xref: "paper", yref: "paper", x: 1, xshift: 6, y: placed[i], xanchor: "left", yanchor: "middle", showarrow: false,
    text: endLabel(name, ends[i][0] > range[1] * 1.001, fitting), font: { color: colour, size: 11.5 },
  }));
  const ticks = specimen.ticks;
  const ends10 = specimen.dose_range.map(Math.log10);
  const axis = { type: "log", range: ends10, fixedrange: true, showgrid: false, zeroline: false, ticks: "outside", ticklen: 4, tickcolor: quiet, linecolor: quiet, showline: true };
  if (total) traces.push({ x: [specimen.dose_range[0] * total], y: [null], xaxis: "x2", type: "scatter", hoverinfo: "skip" });
  Plotly.react(box, traces, {
    ...layout, margin, annotations, hovermode: "x unified", hoverdistance: 30,
    xaxis: { ...axis, ...doseTicks(specimen, box.clientWidth - margin.l - margin.r), title: { text: "e⁻/Å² per image", font: { size: 11.5, color: quiet }, standoff: 6 },
      unifiedhovertitle: { text: specimen.noise_free_at ? " " : "%{x:,.0f} e⁻/Å² per image" }, showspikes: false },
    xaxis2: { ...axis, overlaying: "x", side: "top", visible: Boolean(total), range: ends10.map((v) => v + Math.log10(total || 1)), tickvals: ticks.map((t) => t * (total || 1)),
      ticktext: ticks.map((t) => doseText(t * (total || 1))), tickfont: { color: quiet }, title: { text: `e⁻/Å² in total, ${total} images`, font: { size: 11.5, color: quiet }, standoff: 4 } },
    yaxis: { type: range[2] ? "log" : "linear", range: [bottom, top], fixedrange: true, gridcolor: line, zeroline: false, linecolor: quiet, showline: true, ticks: "outside", ticklen: 4, tickcolor: quiet,
      ...(range[2] ? { tickvals: logTicks(range[0], range[1]), ticktext: logTicks(range[0], range[1]).map(String) } : { nticks: 6 }) },
  }, QUIET_CONFIG);
}

/* Position errors of one dataset against dose, both logarithmic; below, a row per method: the dose it needs. */
function drawErrors(box, data, shown) {
  const panel = data.position_errors[Number(box.dataset.errors)];
  const { ink, quiet, line, ...layout } = baseLayout();
  const ground = themeColour("--ground");
  const index = (name) => data.methods.findIndex((m) => m.name === name);
  const at = placeOf(panel);
  const drawn = panel.methods.filter((m) => shown.has(index(m.name)));
  const narrow = box.clientWidth < 420; // names then stand above their rows, not beside them
  const rowHeight = narrow ? 34 : 16, upper = 270, gap = narrow ? 8 : 14;
  const fitting = narrow ? 48 : 30;
  const right = narrow ? 26 : 16 + Math.max(...panel.methods.map((m) => textWidth(endLabel(m.name, false, fitting), layout.font.family)));
  const margin = { l: 42, r: right, t: panel.n_images ? 40 : 12, b: 40 };
  const lower = rowHeight * panel.methods.length;
  box.style.height = `${margin.t + upper + gap + lower + margin.b}px`;
  const total = upper + gap + lower;
  const [bottom, top] = panel.range;
  const traces = [], annotations = [];
  const plain = (pairs, look, name, unit) => {
    if (pairs.length) traces.push({ x: pairs.map((p) => at(p[0])), y: pairs.map((p) => p[1]), type: "scatter", mode: "lines", line: look, name, zorder: 2,
      text: pairs.map((p) => `<b>${name}</b> ${numberText(p[1])} ${unit}`), hovertemplate: "%{text}<extra></extra>" });
  };
  plain(panel.chance, { color: quiet, width: 1 }, "random atoms", "pm");
  plain(panel.bound, { color: ink, width: 2, dash: "2px,2px" }, "Cramér–Rao bound", "pm");
  plain(panel.with_floor, { color: ink, width: 1.6, dash: "7px,3px" }, "bound plus floor", "pm");
  drawn.forEach((entry) => {
    const method = data.methods[index(entry.name)], colour = methodColour(method), points = parted(entry.points, (p) => p.dose);
    const text = points.map((p) => {
      if (!p) return "";
      const interval = finite(p.low) && p.high > p.low ? ` [${numberText(p.low)}, ${numberText(p.high)}]` : "";
      return `<b>${escapeText(entry.name)}</b> ${numberText(p.mean)} pm${interval}${p.whole ? "" : ", not all atoms or false ones"}  <span style="color:${quiet}">n = ${p.n}</span>`;
    });
    traces.push({
      x: points.map((p) => p && at(p.dose) * entry.aside), y: points.map((p) => p && p.mean), type: "scatter", mode: "lines+markers", name: entry.name, zorder: 100 + data.methods.length - index(entry.name),
      line: { color: colour, width: 1.3, dash: method.dash },
      marker: { symbol: method.symbol, size: method.symbol === "star" ? 10 : 8, color: points.map((p) => (p && p.whole ? colour : ground)), line: { color: colour, width: 1.5 }, opacity: 1 },
      error_y: { type: "data", symmetric: false, array: points.map((p) => (p && finite(p.high) ? p.high - p.mean : 0)), color: colour, thickness: 1.1, width: 0,
        arrayminus: points.map((p) => (p && finite(p.low) ? p.mean - Math.max(p.low, bottom * 0.5) : 0)) },
      text, hovertemplate: "%{text}<extra></extra>",
    });
    const nth = panel.methods.indexOf(entry), needed = entry.needed;
    annotations.push({ xref: "paper", yref: "y2", x: narrow ? 0 : 1, xshift: narrow ? -2 : 10, y: nth, yshift: narrow ? 14 : 0, xanchor: "left", yanchor: "middle", showarrow: false,
      text: endLabel(entry.name, false, fitting), font: { color: colour, size: 11.5 } });
    if (!needed) return;
    const row = { yaxis: "y2", type: "scatter", text: `<b>${escapeText(entry.name)}</b> needs ${escapeText(needed.text)} e⁻/Å² per image`, hovertemplate: "%{text}<extra></extra>", cliponaxis: false };
    traces.push({ ...row, x: [needed.left, needed.right], y: [nth, nth], mode: "lines", line: { color: colour, width: 2 } });
    const arrows = [[needed.open_left, needed.left, "triangle-left"], [needed.open_right, needed.right, "triangle-right"]].filter((a) => a[0]);
    if (arrows.length) traces.push({ ...row, x: arrows.map((a) => a[1]), y: arrows.map(() => nth), mode: "markers", marker: { symbol: arrows.map((a) => a[2]), size: 8, color: colour } });
    if (needed.dose) traces.push({ ...row, x: [needed.dose], y: [nth], mode: "markers", marker: { symbol: method.symbol, size: method.symbol === "star" ? 11 : 9, color: colour, line: { color: ground, width: 1 } } });
  });
  const ends10 = panel.dose_range.map(Math.log10), images = panel.n_images;
  const axis = { type: "log", fixedrange: true, showgrid: false, zeroline: false, ticks: "outside", ticklen: 4, tickcolor: quiet, linecolor: quiet, showline: true };
  if (images) traces.push({ x: [panel.dose_range[0] * images], y: [null], xaxis: "x2", type: "scatter", hoverinfo: "skip" });
  const ticks = logTicks(bottom, top);
  Plotly.react(box, traces, {
    ...layout, margin, annotations, hovermode: "closest", hoverdistance: 20,
    xaxis: { ...axis, anchor: "y2", range: ends10, ...doseTicks(panel, box.clientWidth - margin.l - margin.r), title: { text: "e⁻/Å² per image", font: { size: 11.5, color: quiet }, standoff: 6 } },
    xaxis2: { ...axis, overlaying: "x", anchor: "y", side: "top", visible: Boolean(images), range: ends10.map((v) => v + Math.log10(images || 1)), tickvals: panel.ticks.map((t) => t * (images || 1)),
      ticktext: panel.ticks.map((t) => doseText(t * (images || 1))), tickfont: { color: quiet }, title: { text: `e⁻/Å² in total, ${images} images`, font: { size: 11.5, color: quiet }, standoff: 4 } },
    yaxis: { type: "log", range: [Math.log10(bottom), Math.log10(top)], domain: [(lower + gap) / total, 1], fixedrange: true, gridcolor: line, zeroline: false, linecolor: quiet, showline: true, ticks: "outside", ticklen: 4, tickcolor: quiet, tickvals: ticks, ticktext: ticks.map(String) },
    yaxis2: { range: [panel.methods.length - 0.5, -0.5], domain: [0, lower / total], fixedrange: true, showgrid: true, gridcolor: line, zeroline: false, showline: false, ticks: "", tickvals: panel.methods.map((_, i) => i), showticklabels: false },
  }, QUIET_CONFIG);
}

/* How wide a label is [CSS pixel]. */
function textWidth(text, family) {
  const context = document.createElement("canvas").getContext("2d");
  context.font = `11.5px ${family}`;
  return Math.ceil(context.measureText(text).width);
}

/* What stands right of a curve: the name, with an arrow when the curve has left the panel at the top. */
function endLabel(name, above, fitting) {
  const short = name.length > fitting ? `${name.slice(0, fitting - 1)}…` : name;
  return escapeText(short) + (above ? " ↑" : "");
}

function logTicks(low, high) {
  const ticks = [];
  for (let k = Math.floor(Math.log10(low)); k <= Math.log10(high); k += 1)
    for (const lead of [1, 2, 5]) { const tick = Number((lead * 10 ** k).toPrecision(6)); if (tick >= low && tick <= high) ticks.push(tick); }
  return ticks;
}

function escapeText(text) {
  return String(text).replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
}

/* One answer against the truth in 3D; residual vectors are drawn `factor` times their length. */
function drawAtoms(box, data, answer, factor) {
  const truth = data.truths.find((t) => t.dataset === answer.dataset);
  const method = data.methods.find((m) => m.name === answer.method);
  const { quiet, line, ...layout } = baseLayout();
  const at = (indices, axis) => indices.map((i) => truth.positions[i][axis]);
  const found = new Set(answer.matched);
  const traces = data.species.filter((s) => truth.elements.includes(s.symbol)).map((species) => {
    const indices = truth.elements.map((_, i) => i).filter((i) => truth.elements[i] === species.symbol && found.has(i));
    return {
      type: "scatter3d", mode: "markers", name: species.symbol, x: at(indices, 0), y: at(indices, 1), z: at(indices, 2),
      marker: { size: truth.positions.length > 600 ? 3.2 : 5, color: dark.matches ? species.colour_dark : species.colour, opacity: 0.55, line: { width: 0 } },
      customdata: indices, hovertemplate: `${species.symbol} #%{customdata}<br>%{x:.2f}, %{y:.2f}, %{z:.2f} Å<extra>found</extra>`,
    };
  });
  const [x, y, z] = [[], [], []];
  answer.matched.forEach((i, k) => {
    const start = truth.positions[i], step = answer.residuals[k];
    [x, y, z].forEach((list, axis) => list.push(start[axis], start[axis] + (step[axis] * factor) / 100, null));
  });
  traces.push({ type: "scatter3d", mode: "lines", name: "residual", x, y, z, line: { color: methodColour(method), width: 3 }, hoverinfo: "skip" });
  traces.push({
    type: "scatter3d", mode: "markers", name: "missed", x: at(answer.missed, 0), y: at(answer.missed, 1), z: at(answer.missed, 2),
    marker: { symbol: "circle-open", size: 7, color: themeColour("--ink"), line: { width: 2 } },
    customdata: answer.missed.map((i) => truth.elements[i]), hovertemplate: "%{customdata}, not found<br>%{x:.2f}, %{y:.2f}, %{z:.2f} Å<extra>missed</extra>",
  });
  traces.push({
    type: "scatter3d", mode: "markers", name: "false", x: answer.false.map((p) => p[0]), y: answer.false.map((p) => p[1]), z: answer.false.map((p) => p[2]),
    marker: { symbol: "diamond", size: 2.4, color: quiet, opacity: 0.7 }, hovertemplate: "not in the truth<br>%{x:.2f}, %{y:.2f}, %{z:.2f} Å<extra>false</extra>",
  });
  const axis = (title) => ({ title: { text: title, font: { size: 12, color: quiet } }, showbackground: false, gridcolor: line, zeroline: false, showspikes: false, nticks: 4, tickfont: { size: 10, color: quiet }, linecolor: quiet });
  Plotly.react(box, traces, {
    ...layout, margin: { l: 0, r: 0, t: 0, b: 0 }, uirevision: answer.dataset,
    scene: { aspectmode: "data", xaxis: axis("x (Å)"), yaxis: axis("y (Å)"), zaxis: axis("z (Å), beam"), dragmode: "turntable",
      camera: { projection: { type: "orthographic" }, eye: { x: 0.75, y: -1.05, z: 0.5 } } },
  }, { ...QUIET_CONFIG, displayModeBar: false });
}
