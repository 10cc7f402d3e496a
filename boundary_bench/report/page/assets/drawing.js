"use strict";

/** What all panels share: colours, numbers in words, small multiples beside one another, and their values as a table. */

/** What draws a panel, by its id, from the data of the page and the chosen curves: `fill` says what it returns. */
const panels = {};

const MINUS = "\u2212";
const SYMBOLS = ["circle", "square", "diamond", "triangle", "times", "star", "plus", "wye"];

/** Widths of a drawing, in pixels: a window that is being resized may have none for a moment. */
const NARROWEST = 160;
const WIDEST = 640;

/** The colour of an algorithm; a variable, so that it follows light, dark and print. */
function hue(algorithm) {
  return `var(--hue-${study.algorithms.indexOf(algorithm) % 8})`;
}

function symbol(algorithm) {
  return SYMBOLS[study.algorithms.indexOf(algorithm) % SYMBOLS.length];
}

/** The colour of a step, from early to late. */
function stepHue(step) {
  const steps = study.steps.slice(1);
  const share = steps.length > 1 ? steps.indexOf(step) / (steps.length - 1) : 1;
  return `color-mix(in oklab, var(--late) ${Math.round(100 * share)}%, var(--early))`;
}

/** A number in few characters: .123, or 12.3 from ten on. */
function short(value, digits = 3) {
  if (value === null || value === undefined) return "unknown";
  const text = Math.abs(value) >= 10 ? value.toFixed(1) : value.toFixed(digits);
  return text.replace(/^(-?)0\./, "$1.").replace("-", MINUS);
}

/** A difference with its sign; nothing but 0 where it rounds to that. */
function signed(value, digits = 3) {
  if (value === null || value === undefined) return "unknown";
  if (Number(value.toFixed(digits)) === 0) return "0";
  return (value > 0 ? "+" : "") + short(value, digits);
}

/** An estimate with the interval that is chosen. */
function withInterval(curve, j, words = short) {
  const [low, high] = interval(curve);
  return `${words(curve.estimate[j])} [${words(low[j])}, ${words(high[j])}]`;
}

/** The ends of the chosen interval, at every k. */
function interval(curve) {
  return [curve[`${chosen.interval}_low`], curve[`${chosen.interval}_high`]];
}

/** The curves of the chosen model and benchmark, and of the chosen algorithms and seed. */
function currentView(curves) {
  const view = curves.find(({ model, benchmark }) => model === chosen.model && benchmark === chosen.benchmark);
  const courses = view.courses.filter(
    ({ algorithm, seed }) => seed === chosen.seed && shownAlgorithms().includes(algorithm),
  );
  return { ...view, shown: courses, basis: `P ${view.problems}, n up to ${view.samples}` };
}

function last(course) {
  return course.checkpoints[course.checkpoints.length - 1];
}

/** One object a row, of columns. */
function rowsOf(columns) {
  const names = Object.keys(columns);
  return columns[names[0]].map((_, i) => Object.fromEntries(names.map((name) => [name, columns[name][i]])));
}

/** A swatch and what it stands for. */
function key(style, text) {
  return element("span", { class: "key" }, element("i", { style }), text);
}

/** The key of a panel with one colour an algorithm. */
function algorithmKeys() {
  return shownAlgorithms().map((name) => key(`background: ${hue(name)}`, name));
}

/** The algorithms of the chosen model's runs, or the chosen one, if a run of the chosen seed is there. */
function shownAlgorithms() {
  const whose = study.courses.filter(
    ({ model, algorithm, seeds }) =>
      model === chosen.model &&
      (!chosen.algorithm || algorithm === chosen.algorithm) &&
      (!chosen.seed || seeds.includes(chosen.seed)),
  );
  return whose.map(({ algorithm }) => algorithm);
}

/** Whether what is shown is of one seed, and no mean. */
function oneSeed() {
  return chosen.seed !== "" || study.seeds.length === 1;
}

/** What every plot has in common; `options` wins. */
function plot(options) {
  return Plot.plot({
    marginTop: 8,
    marginRight: 10,
    marginBottom: 30,
    marginLeft: 38,
    color: { type: "identity" },
    opacity: { type: "identity" },
    symbol: { type: "identity" },
    ...options,
    style: { fontFamily: "inherit", fontSize: "11px", overflow: "visible" },
  });
}

/** A note that follows the pointer. */
function tip(points, x, y, title) {
  return Plot.tip(points, Plot.pointer({ x, y, title, maxRadius: 30, fontSize: 12, lineHeight: 1.25 }));
}

/** An axis of k: powers of two, as many as there is room for. */
function kAxis(width) {
  const every = Math.ceil((study.ks.length * 30) / Math.max(width - 50, 60));
  const ticks = study.ks.filter((_, j) => j % every === 0);
  return { type: "log", base: 2, ticks, tickFormat: (k) => String(k), label: "attempts per problem, k" };
}

/** A scale of training steps, with the evaluated ones as ticks where there is room. */
function stepAxis(width, steps = study.steps) {
  const room = Math.floor((width - 50) / 34);
  const last = steps[steps.length - 1];
  const near = (a, b) => Math.abs(a - b) < (34 / Math.max(width - 50, 60)) * last;
  const ticks =
    steps.length > room
      ? undefined
      : steps.filter((step, i) => step === last || (!near(step, last) && !(i && near(step, steps[i - 1]))));
  return { ticks, tickFormat: (step) => String(step), label: "training step" };
}

/** Fill a panel: its key, its drawings beside one another, and their values as a table. */
function fill(id, { keys, drawings, note, table, least = 250 }) {
  const place = document.getElementById(id);
  const room = place.querySelector(".drawing");
  const width = room.clientWidth;
  const most = Math.max(1, Math.min(drawings.length, Math.floor((width + 20) / (least + 20))));
  // as many rows as that takes, filled evenly
  const columns = Math.max(1, Math.ceil(drawings.length / Math.ceil(drawings.length / most)));
  const each = Math.floor((width - 20 * (columns - 1)) / columns);
  room.style.gridTemplateColumns = `repeat(${columns}, minmax(0, 1fr))`;
  room.replaceChildren(
    ...drawings.map(({ title, label, draw }) =>
      figure(title, label, draw(Math.min(Math.max(each, NARROWEST), WIDEST))),
    ),
  );
  place.querySelector(".keys").replaceChildren(...keys, ...(note ? [element("span", { class: "note" }, note)] : []));
  const values = place.querySelector(".values");
  values.querySelector("div").replaceChildren();
  const show = () => values.open && values.querySelector("div").replaceChildren(tabulate(table));
  values.ontoggle = show;
  show();
}

function figure(title, label, drawn) {
  drawn.setAttribute("role", "img");
  drawn.setAttribute("aria-label", label);
  return element("figure", {}, element("figcaption", {}, title), drawn);
}

/** A table of text cells; the first `labels` columns name the row. */
function tabulate({ header, rows, labels }) {
  const side = (j) => (j < labels ? { class: "label" } : {});
  const head = element("tr", {}, ...header.map((text, j) => element("th", { scope: "col", ...side(j) }, text)));
  const body = rows.map((row) => element("tr", {}, ...row.map((cell, j) => element("td", side(j), String(cell)))));
  return element("table", {}, element("thead", {}, head), element("tbody", {}, ...body));
}
