"use strict";
/* The page's own behaviour: what is shown where, sorting, slices. Drawing is in plots.js. */
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const byId = (id) => document.getElementById(id);
  const state = { dataset: data.datasets[0].name, shown: new Set(data.methods.map((_, i) => i)) };
  const unique = (values) => [...new Set(values)];
  const indexOf = (name) => data.methods.findIndex((m) => m.name === name);

  function fill(select, values, texts, wanted) {
    const kept = values.map(String).includes(select.value) ? select.value : String(wanted);
    select.replaceChildren(...values.map((value, i) => new Option(texts[i], value, false, String(value) === kept)));
  }
  const middle = (list) => list[Math.floor(list.length / 2)];

  /* Curves */
  function curves() {
    document.querySelectorAll(".plot[data-metric]").forEach((box) => drawCurve(box, data, state.dataset, state.shown));
    document.querySelectorAll(".plot[data-errors]").forEach((box) => drawErrors(box, data, state.shown));
    const caption = byId("curves-caption");
    if (caption) caption.textContent = data.datasets.find((d) => d.name === state.dataset).caption;
  }
  document.querySelectorAll(".legend button").forEach((button) => button.addEventListener("click", () => {
    const index = Number(button.dataset.method);
    if (state.shown.has(index)) state.shown.delete(index); else state.shown.add(index);
    button.setAttribute("aria-pressed", String(state.shown.has(index)));
    curves();
  }));

  /* Tables: a column header is a button; numbers descend first, words ascend first, nothing comes last. */
  document.querySelectorAll("table.sortable").forEach((table) => {
    const heads = [...table.tHead.rows[0].cells];
    const body = table.tBodies[0];
    heads.forEach((head, column) => head.querySelector("button").addEventListener("click", () => {
      const numeric = head.classList.contains("num");
      const first = numeric && !head.dataset.up ? "descending" : "ascending";
      const second = first === "ascending" ? "descending" : "ascending";
      const order = head.getAttribute("aria-sort") === first ? second : first;
      heads.forEach((other) => other.setAttribute("aria-sort", other === head ? order : "none"));
      const sign = order === "ascending" ? 1 : -1;
      const value = (row) => row.cells[column].dataset.value;
      const rows = [...body.rows].sort((a, b) => {
        const [left, right] = [value(a), value(b)];
        if (left === "" || right === "") return (left === "") - (right === "");
        return sign * (numeric ? Number(left) - Number(right) : left.localeCompare(right, "en"));
      });
      body.append(...rows);
    }));
  });

  /* Slices */
  const AXES = { xy: [0, 1, 2], xz: [0, 2, 1], yz: [1, 2, 0] };
  function slices() {
    const select = byId("slice-dose");
    if (!select) return;
    const answers = data.answers.filter((a) => a.dataset === state.dataset && a.slices.length);
    const doses = unique(answers.map((a) => a.dose)).sort((a, b) => a - b);
    fill(select, doses, doses.map(doseText), middle(doses));
    const dose = Number(select.value);
    const truth = data.truths.find((t) => t.dataset === state.dataset);
    const cards = unique(answers.map((a) => a.method)).map((name) => {
      const answer = answers.find((a) => a.method === name && a.dose === dose);
      return answer ? sliceCard(answer, truth) : emptyCard(name, dose);
    });
    byId("slice-grid").replaceChildren(...cards);
    byId("slice-caption").textContent = data.slice_caption.replace("{dataset}", state.dataset).replace("{dose}", doseText(dose || 1));
  }
  function element(tag, attributes = {}, ...children) {
    const made = document.createElement(tag);
    Object.entries(attributes).forEach(([key, value]) => made.setAttribute(key, value));
    made.append(...children);
    return made;
  }
  function vector(tag, attributes) {
    const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
    Object.entries(attributes).forEach(([key, value]) => made.setAttribute(key, value));
    return made;
  }
  function heading(name, note) {
    return element("figcaption", { class: `m${indexOf(name)}` }, element("span", { class: "name" }, name), element("small", {}, note));
  }
  function emptyCard(name, dose) {
    return element("figure", {}, heading(name, ""), element("p", { class: "none" }, `No volume at ${doseWords(dose)}: the cell failed or made none.`));
  }
  function sliceCard(answer, truth) {
    const trio = element("div", { class: "trio" });
    answer.slices.forEach((slice) => {
      const [left, right, bottom, top] = slice.extent;
      const [across, up, normal] = AXES[slice.plane];
      const image = element("img", {
        src: `data:image/png;base64,${slice.png}`, alt: `${slice.plane} slice of the volume by ${answer.method} at ${doseWords(answer.dose).replace("e⁻/Å²", "electrons per square angstrom")}`,
      });
      const overlay = vector("svg", { viewBox: `${left} ${-top} ${right - left} ${top - bottom}`, "aria-hidden": "true" });
      if (byId("slice-atoms").checked) truth.positions.forEach((p) => {
        if (Math.abs(p[normal]) < data.half_slab) overlay.append(vector("circle", { cx: p[across], cy: -p[up], r: 0.55, fill: "none", stroke: "#56B4E9", "stroke-width": 0.16 }));
      });
      const bar = 10;
      const x = right - (right - left) * 0.05, y = -bottom - (top - bottom) * 0.05;
      overlay.append(vector("line", { x1: x - bar, x2: x, y1: y, y2: y, stroke: "#fff", "stroke-width": (top - bottom) * 0.014 }));
      trio.append(element("div", { class: "plane" }, image, overlay, element("span", { class: "tag" }, slice.plane)));
    });
    const row = data.rows.find((r) => r.dataset === answer.dataset && r.method === answer.method && r.dose === answer.dose);
    const found = data.datasets.find((d) => d.name === answer.dataset).found;
    const recall = row && row.values[found] ? `recall ${numberText(row.values[found].mean * 100)} % at this dose` : "";
    return element("figure", {}, heading(answer.method, recall), trio);
  }

  /* Atoms */
  function drawnAnswer() {
    const answers = data.answers.filter((a) => a.dataset === state.dataset);
    const names = data.methods.map((m) => m.name).filter((name) => answers.some((a) => a.method === name));
    const method = byId("atoms-method"), dose = byId("atoms-dose");
    fill(method, names, names, names[0]);
    const doses = answers.filter((a) => a.method === method.value).map((a) => a.dose).sort((a, b) => a - b);
    fill(dose, doses, doses.map(doseText), middle(doses));
    return answers.find((a) => a.method === method.value && a.dose === Number(dose.value));
  }
  const length = (v) => Math.hypot(...v);
  let chosen = null;
  function atoms(fresh) {
    if (!byId("atoms")) return;
    const answer = drawnAnswer();
    if (!answer) return;
    if (fresh || chosen !== answer) {
      const sizes = answer.residuals.map(length).sort((a, b) => a - b);
      const large = sizes[Math.floor(0.9 * sizes.length)] || 0;
      byId("atoms-scale").value = large > 0 ? Math.max(1, Math.min(40, Math.round(100 / large))) : 1;
      chosen = answer;
    }
    const factor = Number(byId("atoms-scale").value);
    byId("atoms-factor").textContent = `${factor}×`;
    try {
      drawAtoms(byId("atoms"), data, answer, factor);
    } catch (error) {
      byId("atoms").textContent = "This browser cannot draw in 3D (WebGL is missing or switched off).";
    }
    facts(answer, factor);
  }
  function facts(answer, factor) {
    const truth = data.truths.find((t) => t.dataset === answer.dataset);
    const dot = (colour, kind) => {
      const svg = vector("svg", { viewBox: "0 0 12 12", "aria-hidden": "true" });
      if (kind === "dot") svg.append(vector("circle", { cx: 6, cy: 6, r: 5, fill: colour }));
      if (kind === "ring") svg.append(vector("circle", { cx: 6, cy: 6, r: 4.5, fill: "none", stroke: colour, "stroke-width": 2 }));
      if (kind === "diamond") svg.append(vector("path", { d: "M6 1L11 6L6 11L1 6z", fill: colour }));
      if (kind === "line") svg.append(vector("line", { x1: 0, x2: 12, y1: 6, y2: 6, stroke: colour, "stroke-width": 3 }));
      return svg;
    };
    const entry = (mark, name, text) => [element("dt", {}, ...(mark ? [mark] : []), name), element("dd", {}, text)];
    const ink = themeColour("--ink");
    const found = new Set(answer.matched);
    const lines = data.species.filter((s) => truth.elements.includes(s.symbol)).flatMap((s) => {
      const all = truth.elements.map((e, i) => [e, i]).filter(([e]) => e === s.symbol);
      const hit = all.filter(([, i]) => found.has(i)).length;
      return entry(dot(dark.matches ? s.colour_dark : s.colour, "dot"), `${s.symbol} found`, `${hit} of ${all.length}`);
    });
    const method = data.methods.find((m) => m.name === answer.method);
    const sizes = answer.residuals.map(length).sort((a, b) => a - b);
    lines.push(...entry(dot(ink, "ring"), "missed", String(answer.missed.length)), ...entry(dot(themeColour("--quiet"), "diamond"), "false", String(answer.false.length)),
      ...entry(dot(methodColour(method), "line"), "residual, median", sizes.length ? `${numberText(middle(sizes))} pm` : "–"),
      ...entry(null, "residual, largest", sizes.length ? `${numberText(sizes[sizes.length - 1])} pm` : "–"));
    byId("atoms-facts").replaceChildren(...lines);
    const truthIsSheet = data.datasets.find((d) => d.name === answer.dataset).found === "sheet_recall";
    byId("atoms-caption").textContent = `${answer.method} on ${answer.dataset} at ${doseWords(answer.dose)}, replicate ${answer.replicate} (n = 1, no interval). `
      + `Dots are true atoms that were found, by true element; lines run from the true towards the found position, drawn ${factor} times as long. One ${truthIsSheet ? "translation in the plane" : "rigid translation"} is removed. Drag to turn.`;
  }

  function everything() { curves(); slices(); atoms(false); }
  const on = (id, event, act) => { const node = byId(id); if (node) node.addEventListener(event, act); };
  on("dataset", "change", (event) => { state.dataset = event.target.value; everything(); });
  on("slice-dose", "change", slices);
  on("slice-atoms", "change", slices);
  on("atoms-method", "change", () => atoms(true));
  on("atoms-dose", "change", () => atoms(true));
  on("atoms-scale", "input", () => atoms(false));
  dark.addEventListener("change", everything);
  let width = window.innerWidth;
  window.addEventListener("resize", () => { if (window.innerWidth !== width) { width = window.innerWidth; curves(); } });

  curves();
  slices();
  /* Atoms take a WebGL context: drawn when they come near. */
  const stage = byId("atoms");
  if (stage) {
    const watcher = new IntersectionObserver((entries) => {
      if (entries.some((e) => e.isIntersecting)) { watcher.disconnect(); atoms(true); }
    }, { rootMargin: "400px" });
    watcher.observe(stage);
  }
})();
