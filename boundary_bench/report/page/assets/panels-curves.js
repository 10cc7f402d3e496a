"use strict";

/** The panels of pass@k along k: the curves, the differences, and what guessing reaches. */

// the curves

/** The points of a curve, one a k, with what the pointer says of them. */
function pointsOf(curve, who, words, basis) {
  const [low, high] = interval(curve);
  return study.ks.map((k, j) => ({
    k,
    value: curve.estimate[j],
    low: low[j],
    high: high[j],
    said: `${who}, k = ${k}\n${withInterval(curve, j, words)}\n${INTERVALS[chosen.interval].text}\n${basis}`,
  }));
}

const alongK = { x: "k", y: "value" };

function bandOf(points, fill, fillOpacity) {
  return Plot.areaY(points, { x: "k", y1: "low", y2: "high", fill, fillOpacity });
}

function stepKeys() {
  const steps = study.steps.slice(1);
  const named = steps.length <= 6 ? steps : [steps[0], steps[Math.floor(steps.length / 2)], steps[steps.length - 1]];
  return named.map((step) => key(`background: ${stepHue(step)}`, `step ${step}`));
}

panels.pass_at_k = ({ view }) => {
  const base = pointsOf(view.base, "base", short, view.basis);
  const guess = study.ks.map((k, j) => ({
    k,
    value: view.null && view.null[j],
    said: `random valid responses, k = ${k}\n${short(view.null && view.null[j])}`,
  }));
  const drawings = view.shown.map((course) => ({
    title: course.algorithm,
    label: `pass@k against k of ${course.algorithm} on ${view.benchmark}, one line a checkpoint, the base in black.`,
    draw: (width) => {
      const lines = course.checkpoints.map(({ step, curve }) => ({
        step,
        points: pointsOf(curve, `step ${step}`, short, view.basis),
      }));
      const end = lines[lines.length - 1];
      return plot({
        width,
        height: Math.min(290, Math.max(200, 0.8 * width)),
        x: kAxis(width),
        y: { domain: [0, 1], label: null, grid: true, ticks: 5, tickFormat: (value) => short(value, 1) },
        marks: [
          bandOf(base, "var(--ink)", 0.1),
          bandOf(end.points, stepHue(end.step), 0.2),
          ...(view.null ? [Plot.line(guess, { ...alongK, stroke: "var(--soft)", strokeDasharray: "4 3" })] : []),
          ...lines.map(({ step, points }) => Plot.line(points, { ...alongK, stroke: stepHue(step), strokeWidth: 1.7 })),
          Plot.line(base, { ...alongK, stroke: "var(--ink)", strokeWidth: 2.2 }),
          tip([...base, ...lines.flatMap(({ points }) => points), ...(view.null ? guess : [])], "k", "value", "said"),
        ],
      });
    },
  }));
  const rows = view.shown.flatMap(({ algorithm, checkpoints }) =>
    [{ step: 0, curve: view.base }, ...checkpoints].map(({ step, curve }) => [
      algorithm,
      step,
      ...study.ks.map((_, j) => withInterval(curve, j)),
    ]),
  );
  const guessKey = view.null ? [key("border-top: 2px dashed var(--soft)", "random valid responses")] : [];
  const keys = [key("background: var(--ink)", "base"), ...stepKeys(), ...guessKey];
  return {
    keys,
    drawings,
    note: `bands of base and last step: ${INTERVALS[chosen.interval].long}`,
    table: { header: ["algorithm", "step", ...study.ks.map((k) => `k = ${k}`)], rows, labels: 2 },
  };
};

// the differences

panels.differences = ({ view }) => {
  const ends = view.courses
    .filter(({ seed }) => seed === chosen.seed)
    .flatMap((course) => {
      const [low, high] = interval(last(course).difference);
      return [...low, ...high, ...course.checkpoints.flatMap(({ difference }) => difference.estimate)];
    });
  const domain = [Math.min(-0.1, ...ends), Math.max(0.1, ...ends)];
  const drawings = view.shown.map((course) => ({
    title: course.algorithm,
    label: `Checkpoint minus base of ${course.algorithm} on ${view.benchmark} against k.`,
    draw: (width) => differencePlot(view, course, domain, width),
  }));
  const rows = view.shown.map((course) => {
    const { step, difference, crossover } = last(course);
    return [course.algorithm, step, ...study.ks.map((_, j) => withInterval(difference, j, signed)), inWords(crossover)];
  });
  const keys = [
    ...stepKeys(),
    key("background: var(--zone)", `margin of ${study.margin}`),
    key("border: 2px solid var(--ink); transform: rotate(45deg) scale(.8)", "crossover"),
  ];
  const header = ["algorithm", "step", ...study.ks.map((k) => `k = ${k}`), "crossover k"];
  return {
    keys,
    drawings,
    note: `band of the last step: ${INTERVALS[chosen.interval].long}`,
    table: { header, rows, labels: 2 },
  };
};

/** A crossover: its interval may end below the smallest k (0) or nowhere (null). */
function inWords([k, low, high]) {
  const words = (value) => (value === null ? "none" : value < study.ks[0] ? `below ${study.ks[0]}` : short(value, 1));
  return `${words(k)} [${words(low)}, ${words(high)}]`;
}

function differencePlot(view, course, domain, width) {
  const lines = course.checkpoints.map(({ step, difference }) => ({
    step,
    points: pointsOf(difference, `step ${step} minus base`, signed, view.basis),
  }));
  const end = lines[lines.length - 1];
  const [k, low, high] = last(course).crossover;
  const [least, most] = [study.ks[0], study.ks[study.ks.length - 1]];
  const crossed = k !== null && k >= least && k <= most;
  const inside = (value) => Math.min(most, Math.max(least, value ?? most));
  const said = [{ k, value: 0, said: `crossover at k = ${inWords([k, low, high])}` }];
  return plot({
    width,
    height: Math.min(240, Math.max(180, 0.65 * width)),
    x: kAxis(width),
    y: { domain, label: null, grid: true, ticks: 5, tickFormat: (value) => signed(value, 2) },
    marks: [
      Plot.rect([0], { x1: least, x2: most, y1: -study.margin, y2: study.margin, fill: "var(--zone)" }),
      Plot.ruleY([0], { stroke: "var(--ink)" }),
      bandOf(end.points, stepHue(end.step), 0.2),
      ...lines.map(({ step, points }) =>
        Plot.line(points, { ...alongK, stroke: stepHue(step), strokeWidth: step === end.step ? 2.2 : 1.2 }),
      ),
      ...(crossed
        ? [
            Plot.link([0], { x1: inside(low), x2: inside(high), y1: 0, y2: 0, stroke: "var(--ink)", strokeWidth: 3 }),
            Plot.dot(said, { ...alongK, symbol: "diamond", r: 5, fill: "var(--page)", stroke: "var(--ink)" }),
          ]
        : []),
      tip([...lines.flatMap(({ points }) => points), ...(crossed ? said : [])], "k", "value", "said"),
    ],
  });
}

// guessing

/** What lies above guessing, a line for each of several series and for the base, at every k or over training. */
function aboveGuessing(width, axis, x, series, base = []) {
  return plot({
    width,
    height: 250,
    x: axis(width),
    y: { label: null, grid: true, ticks: 5, tickFormat: (value) => signed(value, 2) },
    marks: [
      Plot.ruleY([0], { stroke: "var(--ink)", strokeDasharray: "4 3" }),
      Plot.line(base, { x, y: "value", stroke: "var(--ink)", strokeWidth: 2.2 }),
      ...series.flatMap(({ algorithm, points }) => [
        Plot.line(points, { x, y: "value", stroke: hue(algorithm), strokeWidth: 1.8 }),
        Plot.dot(points, { x, y: "value", stroke: hue(algorithm), symbol: symbol(algorithm), r: 2.5 }),
      ]),
      tip([...base, ...series.flatMap(({ points }) => points)], x, "value", "said"),
    ],
  });
}

panels.guessing = ({ view }) => {
  const table = { header: ["policy", ...study.ks.map((k) => `k = ${k}`)], rows: [], labels: 1 };
  if (!view.null)
    return {
      keys: [],
      drawings: [],
      note: `${view.benchmark} does not know the chance of a random valid response.`,
      table,
    };
  const less = (who, curve) => {
    const over = study.ks.map((k, j) => ({
      k,
      value: curve.estimate[j] - view.null[j],
      said: `${who}, k = ${k}\n${short(curve.estimate[j])}, random valid responses ${short(view.null[j])}\n${signed(curve.estimate[j] - view.null[j])}`,
    }));
    table.rows.push([who, ...over.map(({ value }) => signed(value))]);
    return over;
  };
  const base = less("base", view.base);
  const lines = view.shown.map((course) => ({
    algorithm: course.algorithm,
    points: less(`${course.algorithm} step ${last(course).step}`, last(course).curve),
  }));
  const end = study.ks.length - 1;
  const courses = view.shown.map(({ algorithm, checkpoints }) => ({
    algorithm,
    points: [{ step: 0, curve: view.base }, ...checkpoints].map(({ step, curve }) => {
      const value = curve.estimate[end] - view.null[end];
      return {
        step,
        value,
        said: `${step ? algorithm : "base"}, step ${step}, k = ${study.ks[end]}\n${signed(value)}`,
      };
    }),
  }));
  const what = `pass@k less that of random valid responses on ${view.benchmark}`;
  const drawings = [
    {
      title: "last step, at every k",
      label: `${what}: the base and the last checkpoints.`,
      draw: (width) => aboveGuessing(width, kAxis, "k", lines, base),
    },
    {
      title: `k = ${study.ks[end]}, over training`,
      label: `${what} at the largest k, over training.`,
      draw: (width) => aboveGuessing(width, stepAxis, "step", courses),
    },
  ];
  return { keys: [key("background: var(--ink)", "base"), ...algorithmKeys()], drawings, note: null, table, least: 400 };
};
