"use strict";

/** The panel of training: what the rollouts did at every step, and what the evaluated checkpoints do on a benchmark. */

/** The rows of the chosen model and benchmark, of one algorithm and of all seeds or the chosen one; the base is step 0. */
function policiesOf(rows, algorithm) {
  const mine = rows.filter((row) => row.model === chosen.model && row.benchmark === chosen.benchmark);
  return mine.filter(
    (row) => row.algorithm === "base" || (row.algorithm === algorithm && (!chosen.seed || row.seed === chosen.seed)),
  );
}

/** One row a step: the mean of some numbers over its rows; unknown where one of them is. */
function meanByStep(rows, names) {
  const mean = (each, name) => (each.some((row) => row[name] === null) ? null : d3.mean(each, (row) => row[name]));
  const steps = d3.group(rows, (row) => Number(row.step));
  return Array.from(steps, ([step, each]) => ({
    step,
    ...Object.fromEntries(names.map((name) => [name, mean(each, name)])),
  }));
}

panels.dynamics = ({ training, summary }) => {
  const rows = rowsOf(summary.columns);
  const evaluated = [
    ["token_entropy", summary.entropy],
    ["answer_entropy_chao_shen", "answer entropy (nats)"],
    ["greedy", "greedy accuracy"],
  ];
  const drawings = [
    ["reward", "training reward"],
    ["entropy", "token entropy of rollouts (nats)"],
    ["response_length", "response length (tokens)"],
  ]
    .filter(() => training.runs.length)
    .map(([name, title]) => trainingChart(training, name, title));
  drawings.push(...evaluated.map(([name, title]) => evaluatedChart(rows, name, title)));
  const table = { header: ["algorithm", "step", ...evaluated.map(([, title]) => title)], rows: [], labels: 1 };
  for (const algorithm of shownAlgorithms()) {
    const found = meanByStep(
      policiesOf(rows, algorithm),
      evaluated.map(([name]) => name),
    );
    table.rows.push(
      ...found.map((row) => [row.step ? algorithm : "base", row.step, ...evaluated.map(([name]) => short(row[name]))]),
    );
  }
  const keys = [...algorithmKeys(), key("border-top: 2px dashed var(--soft)", "base")];
  return {
    keys,
    drawings,
    note: `${training.runs.length ? `training: running mean of ${training.window} steps; ` : ""}${oneSeed() ? "bars and grey band" : "grey band"}: interval of ${oneSeed() ? "" : "the base's "}greedy accuracy over problems`,
    table,
    least: 300,
  };
};

/** A line an algorithm: thick the mean over seeds or the chosen seed, thin each seed. */
function seriesMarks(series) {
  return series.flatMap(({ algorithm, seeds, mean }) => [
    ...(seeds.length > 1
      ? seeds.map((points) =>
          Plot.line(points, { x: "step", y: "value", stroke: hue(algorithm), strokeWidth: 0.8, strokeOpacity: 0.5 }),
        )
      : []),
    Plot.line(mean, { x: "step", y: "value", stroke: hue(algorithm), strokeWidth: 2 }),
  ]);
}

function coursePlot(width, marks) {
  return plot({
    width,
    height: 190,
    x: stepAxis(width),
    y: { label: null, grid: true, ticks: 4, nice: true },
    marks,
  });
}

function trainingChart(training, name, title) {
  const series = shownAlgorithms().map((algorithm) => {
    const runs = training.runs.filter(
      (run) => run.model === chosen.model && run.algorithm === algorithm && (!chosen.seed || run.seed === chosen.seed),
    );
    const seeds = runs.map((run) => run.step.map((step, i) => ({ step, value: run[name][i] })));
    const mean = (seeds[0] || []).map(({ step }, i) => {
      const value = seeds.some((points) => points[i].value === null)
        ? null
        : d3.mean(seeds, (points) => points[i].value);
      return { step, value, said: `${algorithm}, step ${step}\n${title} ${short(value)}` };
    });
    return { algorithm, seeds, mean };
  });
  const all = series.flatMap(({ mean }) => mean).filter(({ value }) => value !== null);
  const draw = (width) => coursePlot(width, [...seriesMarks(series), tip(all, "step", "value", "said")]);
  return { title: all.length ? title : `${title}: unknown`, label: `${title} over training, one line an algorithm.`, draw };
}

function evaluatedChart(rows, name, title) {
  const series = shownAlgorithms().map((algorithm) => {
    const mine = policiesOf(rows, algorithm);
    const base = mine.find((row) => row.algorithm === "base");
    const bySeed = d3.groups(
      mine.filter((row) => row !== base),
      (row) => row.seed,
    );
    const seeds = bySeed.map(([, each]) =>
      [base, ...each].map((row) => ({ step: Number(row.step), value: row[name] })),
    );
    const mean = meanByStep(mine, [name]).map((row) => ({
      step: row.step,
      value: row[name],
      said: `${row.step ? algorithm : "base"}, step ${row.step}\n${title} ${short(row[name])}`,
    }));
    const bars = name === "greedy" && seeds.length === 1 ? mine.filter((row) => row !== base) : [];
    return { algorithm, seeds, mean, base, bars };
  });
  const base = policiesOf(rows, "").find((row) => row.algorithm === "base");
  const all = series.flatMap(({ mean }) => mean).filter(({ value }) => value !== null);
  const end = study.steps[study.steps.length - 1];
  const draw = (width) =>
    coursePlot(width, [
      ...(name === "greedy" && base.greedy_low !== null
        ? [Plot.rect([0], { x1: 0, x2: end, y1: base.greedy_low, y2: base.greedy_high, fill: "var(--zone)" })]
        : []),
      ...(base[name] === null ? [] : [Plot.ruleY([base[name]], { stroke: "var(--soft)", strokeDasharray: "4 3" })]),
      ...series.flatMap(({ algorithm, bars }) =>
        Plot.ruleX(bars, {
          x: (row) => Number(row.step),
          y1: "greedy_low",
          y2: "greedy_high",
          stroke: hue(algorithm),
        }),
      ),
      ...seriesMarks(series),
      ...series.map(({ algorithm, mean }) =>
        Plot.dot(
          mean.filter(({ step }) => step > 0),
          { x: "step", y: "value", fill: hue(algorithm), symbol: symbol(algorithm), r: 3.2 },
        ),
      ),
      tip(all, "step", "value", "said"),
    ]);
  return {
    title: `${title}, ${chosen.benchmark}${all.length ? "" : ": unknown"}`,
    label: `${title} of the evaluated checkpoints on ${chosen.benchmark}, one line an algorithm.`,
    draw,
  };
}
