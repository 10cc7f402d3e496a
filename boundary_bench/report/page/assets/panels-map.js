"use strict";

/** The boundary map: training step against k, coloured by the change of pass@k from the base. */

const BASE_GAP = 1.15;
/** Height of a cell, in pixels. */
const CELL = 13.5;

panels.boundary_map = ({ view }) => {
  const all = view.courses.filter(({ seed }) => seed === chosen.seed);
  const sizes = all.flatMap(({ checkpoints }) =>
    checkpoints.flatMap(({ difference }) => difference.estimate.map(Math.abs)),
  );
  const limit = Math.max(0.1, Math.ceil(20 * Math.max(...sizes)) / 20);
  const guess = view.null
    ? [
        key("border: 2px dotted var(--ink)", "less than guessing solves"),
        key("border: 2px solid var(--ink)", "the base too"),
      ]
    : [];
  const keys = [
    key("background: var(--shrinks)", `shrinks, to ${signed(-limit, 2)}`),
    key("background: var(--expands)", `expands, to ${signed(limit, 2)}`),
    element("span", { class: "key" }, element("i", { class: "hatched" }), "may be 0"),
    ...guess,
  ];
  const drawings = view.shown.map((course) => ({
    title: course.algorithm,
    label:
      `Boundary map of ${course.algorithm} on ${view.benchmark}: training step against k, coloured by the change ` +
      "of pass@k from the base. The values are in the table below.",
    draw: (width) => mapPlot(view, course, limit, width),
  }));
  const rows = view.shown.flatMap((course) =>
    course.checkpoints.flatMap(({ step, difference, curve }) =>
      study.ks.map((k, j) => [
        course.algorithm,
        step,
        k,
        short(view.base.estimate[j]),
        short(curve.estimate[j]),
        withInterval(difference, j, signed),
      ]),
    ),
  );
  const header = ["algorithm", "step", "k", "base", "checkpoint", `difference [${INTERVALS[chosen.interval].text}]`];
  return { keys, drawings, least: 200, table: { header, rows, labels: 2 } };
};

function mapCells(view, course, limit) {
  return course.checkpoints.flatMap(({ step, difference, curve }, i) => {
    const [low, high] = interval(difference);
    return study.ks.map((k, j) => {
      const value = difference.estimate[j];
      const said = [
        `step ${step}, k = ${k}`,
        withInterval(difference, j, signed),
        INTERVALS[chosen.interval].text,
        `base ${short(view.base.estimate[j])}, checkpoint ${short(curve.estimate[j])}`,
        view.basis,
      ].join("\n");
      const unsure = !(low[j] > 1e-9 || high[j] < -1e-9);
      const strength = Math.min(1, Math.abs(value) / limit);
      return { x: i + BASE_GAP, y: j, value, unsure, strength, said, below: belowNull(view, curve, j) };
    });
  });
}

/** 0: more is solved than by guessing; 1: guessing solves more than the checkpoint, 2: than the base too. */
function belowNull(view, curve, j) {
  if (!view.null || curve.estimate[j] >= view.null[j]) return 0;
  return view.base.estimate[j] < view.null[j] ? 2 : 1;
}

function mapPlot(view, course, limit, width) {
  const cells = mapCells(view, course, limit);
  const steps = course.checkpoints.length;
  const cell = (width - 36) / (steps + BASE_GAP);
  const box = { x1: "x", x2: (d) => d.x + 1, y1: "y", y2: (d) => d.y + 1 };
  const middle = { x: (d) => d.x + 0.5, y: (d) => d.y + 0.5 };
  const base = study.ks.map((k, j) => ({
    x: 0,
    y: j,
    value: view.base.estimate[j],
    said: [`base, k = ${k}`, withInterval(view.base, j), INTERVALS[chosen.interval].text, view.basis].join("\n"),
  }));
  const numbers = (rows, words, ink) =>
    Plot.text(rows, {
      ...middle,
      text: (d) => words(d.value, 2),
      fill: ink,
      fontSize: 9.5,
      fontVariant: "tabular-nums",
      fontWeight: (d) => (d.unsure === false ? 700 : 400),
    });
  const every = Math.ceil(26 / cell);
  const ticks = d3.range(0, steps).filter((i) => (steps - 1 - i) % every === 0 && (i + BASE_GAP) * cell > 26);
  return plot({
    width,
    height: CELL * study.ks.length + 24,
    marginLeft: 34,
    marginRight: 2,
    marginTop: 2,
    marginBottom: 22,
    x: { domain: [0, steps + BASE_GAP], axis: null },
    y: { domain: [0, study.ks.length], axis: null },
    marks: [
      Plot.rect(base, { ...box, fill: "var(--ink)", fillOpacity: 0.09 }),
      Plot.rect(cells, {
        ...box,
        inset: 0.5,
        fill: (d) => `var(--${d.value < 0 ? "shrinks" : "expands"})`,
        fillOpacity: "strength",
      }),
      Plot.rect(
        cells.filter((d) => d.unsure),
        { ...box, inset: 0.5, fill: "url(#hatch)" },
      ),
      ...(cell >= 22 ? [numbers(base, short, "var(--ink)")] : []),
      ...(cell >= 29 ? [numbers(cells, signed, (d) => (d.strength > 0.78 ? "var(--on-strong)" : "var(--ink)"))] : []),
      outline(cells, (d) => d.below === 1, "1.5 2.5"),
      outline(cells, (d) => d.below === 2, null),
      Plot.axisX([0.5, ...ticks.map((i) => i + BASE_GAP + 0.5)], {
        tickSize: 0,
        tickFormat: (x) => (x < 1 ? "base" : String(course.checkpoints[Math.round(x - BASE_GAP - 0.5)].step)),
        label: null,
      }),
      Plot.axisY(
        study.ks.map((_, j) => j + 0.5),
        { tickSize: 0, tickFormat: (y) => String(study.ks[Math.floor(y)]), label: null },
      ),
      tip(
        [...base, ...cells],
        (d) => d.x + 0.5,
        (d) => d.y + 0.5,
        "said",
      ),
    ],
  });
}

/** A line around the cells that are inside. */
function outline(cells, inside, dashes) {
  const name = (x, y) => `${x.toFixed(3)} ${y}`;
  const marked = new Set(cells.filter(inside).map(({ x, y }) => name(x, y)));
  const sides = cells.filter(inside).flatMap(({ x, y }) =>
    [
      [x - 1, y, x, y, x, y + 1],
      [x + 1, y, x + 1, y, x + 1, y + 1],
      [x, y - 1, x, y, x + 1, y],
      [x, y + 1, x, y + 1, x + 1, y + 1],
    ].filter(([beside, above]) => !marked.has(name(beside, above))),
  );
  const [x1, y1, x2, y2] = [2, 3, 4, 5].map((place) => (side) => side[place]);
  return Plot.link(sides, {
    x1,
    y1,
    x2,
    y2,
    stroke: "var(--ink)",
    strokeWidth: 1.6,
    strokeDasharray: dashes ?? undefined,
  });
}
