"use strict";

/** The panels of counts: which problems are solved by whom, and what the grader said of the samples. */

const SETS = [
  ["both", "both", "var(--both)"],
  ["checkpoint_only", "newly solved", "var(--expands)"],
  ["base_only", "no longer solved", "var(--shrinks)"],
  ["neither", "neither", "var(--neither)"],
];
const HALVES = ["checkpoint_only_at_half", "base_only_at_half", "null_at_half"];
const VERDICT_HUES = {
  correct: "var(--both)",
  wrong: "var(--neither)",
  unparsable: "var(--hue-4)",
  truncated: "var(--hue-1)",
  timeout: "var(--hue-3)",
};

/** Stacked bars, one a step, of parts that are [name, label, colour]. */
function stacked(rows, parts, width, height, words) {
  const bars = rows.flatMap((row, i) => {
    let top = 0;
    return parts.map(([name, label, colour]) => {
      const bar = {
        x: i,
        low: top,
        high: top + (row[name] ?? 0),
        colour,
        said: `step ${row.step}: ${label} ${words(row[name])}`,
      };
      top = bar.high;
      return bar;
    });
  });
  const every = Math.ceil(30 / ((width - 48) / rows.length));
  const ticks = rows.map((_, i) => i).filter((i) => (rows.length - 1 - i) % every === 0);
  return plot({
    width,
    height,
    x: { domain: [-0.5, rows.length - 0.5], axis: null },
    y: { label: null, ticks: 5 },
    marks: [
      Plot.rect(bars, {
        x1: (d) => d.x - 0.5,
        x2: (d) => d.x + 0.5,
        y1: "low",
        y2: "high",
        fill: "colour",
        insetLeft: 1,
        insetRight: 1,
      }),
      Plot.axisX(ticks, {
        tickSize: 0,
        tickFormat: (i) => String(rows[i].step),
        label: "training step",
        labelArrow: "none",
      }),
      tip(bars, "x", (d) => (d.low + d.high) / 2, "said"),
    ],
  });
}

panels.coverage = ({ coverage }) => {
  const all = rowsOf(coverage);
  const hits = all[0].hits;
  const names = [...SETS.map(([name]) => name), ...HALVES];
  const found = shownAlgorithms().map((algorithm) => [
    algorithm,
    meanByStep(
      policiesOf(
        all.filter((row) => row.hits === hits),
        algorithm,
      ),
      names,
    ),
  ]);
  const most = d3.max(found.flatMap(([, rows]) => rows.flatMap((row) => HALVES.map((name) => row[name]))));
  const sets = found.map(([algorithm, rows]) => ({
    title: algorithm,
    label: `Problems of ${chosen.benchmark} that are solved by both, newly, no longer and by neither, over the training of ${algorithm}.`,
    draw: (width) => stacked(rows, SETS, width, 200, (value) => `${short(value, 1)} problems`),
  }));
  const halves = found.map(([algorithm, rows]) => ({
    title: `${algorithm}, half of the samples`,
    label: `Problems newly and no longer solved by ${algorithm} with half of the samples, beside what two halves of the base differ by.`,
    draw: (width) => halvesPlot(rows, most, width),
  }));
  const rows = found.flatMap(([algorithm, each]) =>
    each.map((row) => [algorithm, row.step, ...names.map((name) => short(row[name], 1))]),
  );
  const header = [
    "algorithm",
    "step",
    ...SETS.map(([, label]) => label),
    "newly solved at half",
    "no longer at half",
    "by luck at half",
  ];
  const keys = [
    ...SETS.map(([, label, colour]) => key(`background: ${colour}`, label)),
    key("background: var(--luck)", "by luck alone, on average, with half of the samples"),
  ];
  return {
    keys,
    drawings: [...sets, ...halves],
    note: `solved: ${hits} correct sample or more${oneSeed() ? "" : "; means over the seeds"}`,
    table: { header, rows, labels: 2 },
  };
};

/** Newly solved upwards and no longer solved downwards, with half of the samples, around what luck does. */
function halvesPlot(rows, most, width) {
  const line = (name, sign, label, stroke) => {
    const points = rows.map((row) => ({
      step: row.step,
      value: sign * row[name],
      said: `step ${row.step}: ${label} ${short(row[name], 1)}\nby luck alone ${short(row.null_at_half, 1)}`,
    }));
    return {
      points,
      marks: [
        Plot.line(points, { x: "step", y: "value", stroke, strokeWidth: 2 }),
        Plot.dot(points, { x: "step", y: "value", fill: stroke, r: 2.5 }),
      ],
    };
  };
  const lines = [
    line("checkpoint_only_at_half", 1, "newly solved", "var(--expands)"),
    line("base_only_at_half", -1, "no longer solved", "var(--shrinks)"),
  ];
  return plot({
    width,
    height: 150,
    x: stepAxis(
      width,
      rows.map(({ step }) => step),
    ),
    y: { domain: [-most, most], label: null, ticks: 4, tickFormat: (value) => String(Math.abs(value)) },
    marks: [
      Plot.areaY(rows, { x: "step", y1: (row) => -row.null_at_half, y2: "null_at_half", fill: "var(--luck)" }),
      Plot.ruleY([0], { stroke: "var(--line)" }),
      ...lines.flatMap(({ marks }) => marks),
      tip(
        lines.flatMap(({ points }) => points),
        "step",
        "value",
        "said",
      ),
    ],
  });
}

panels.verdicts = ({ summary }) => {
  const parts = study.verdicts.map((name) => [`${name}_share`, name, VERDICT_HUES[name]]);
  const names = parts.map(([name]) => name);
  const found = shownAlgorithms().map((algorithm) => [
    algorithm,
    meanByStep(policiesOf(rowsOf(summary.columns), algorithm), names),
  ]);
  const percent = (value) => (value === null ? "unknown" : `${(100 * value).toFixed(2)} %`);
  const drawings = found.map(([algorithm, rows]) => ({
    title: algorithm,
    label: `Shares of every verdict among the samples of ${algorithm} on ${chosen.benchmark}, one bar a step.`,
    draw: (width) => stacked(rows, parts, width, 190, percent),
  }));
  const rows = found.flatMap(([algorithm, each]) =>
    each.map((row) => [row.step ? algorithm : "base", row.step, ...names.map((name) => percent(row[name]))]),
  );
  const keys = parts.map(([, label, colour]) => key(`background: ${colour}`, label));
  return {
    keys,
    drawings,
    note: "step 0 is the base",
    table: { header: ["policy", "step", ...study.verdicts], rows, labels: 2 },
  };
};
