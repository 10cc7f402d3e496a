"use strict";

// The sample browser. Everything in it that is not a label was written by a model or a data file: it becomes text.
{
  const data = embedded("data-samples");
  const SIDES = ["greedy", "correct", "not correct"];
  // control, format, private, unassigned and lone surrogate characters, line and paragraph separators; not \n and \t
  const UNSEEN = /(?![\n\t])[\p{Cc}\p{Cf}\p{Co}\p{Cn}\p{Cs}\p{Zl}\p{Zp}]/u;
  const number = (value) => value.toLocaleString("en");
  const plain = (value) => (Array.isArray(value) ? `${value[0]}\n${value[2]}` : value ?? "");

  /** A text as nodes, with characters that cannot be seen, or turn others around, written as their code points. */
  function visible(text) {
    return text.split(new RegExp(`(${UNSEEN.source})`, "u")).map((part) => {
      if (!UNSEEN.test(part)) return part;
      const code = part.codePointAt(0).toString(16).toUpperCase().padStart(4, "0");
      return element("span", { class: "unseen", title: "a character that cannot be seen" }, `⟨U+${code}⟩`);
    });
  }

  /** A text that may be an excerpt: its beginning, what is left out, its end. */
  function nodes(value) {
    if (!Array.isArray(value)) return visible(value);
    const [head, length, tail] = value;
    const out = length - [...head].length - [...tail].length;
    const gap = element("span", { class: "gap" }, `\n… ${number(out)} of ${number(length)} characters are in ${data.archive} …\n`);
    return [...visible(head), gap, ...visible(tail)];
  }

  const box = (label, value) =>
    element("pre", { class: "text", tabindex: "0", role: "group", "aria-label": label }, ...nodes(value));

  const samplesOf = (policy, benchmark, problem) => data.samples[`${policy}/${benchmark}`]?.[problem] ?? [];

  /** One entry a problem and algorithm, with all that filters ask of it. */
  const cases = data.groups.flatMap((group) =>
    group.cases.map((one) => {
      const problem = data.problems[`${group.model}/${group.benchmark}`].of[one.problem];
      const policies = [group.model, ...group.policies.filter((_, i) => one.seeds[i].shown)];
      const samples = policies.flatMap((policy) => samplesOf(policy, group.benchmark, one.problem));
      return {
        group, one, problem, samples,
        kinds: data.kinds.filter((kind) => one.seeds.some((seed) => seed.kinds.includes(kind))),
        verdicts: new Set(samples.map((sample) => sample[1])),
      };
    }),
  );

  /** What a search looks through, made when it is first needed. */
  function haystack(entry) {
    entry.words ??= [
      entry.one.problem, plain(entry.problem.prompt), plain(entry.problem.reference), plain(entry.problem.stratum),
      ...entry.samples.flatMap((sample) => [plain(sample[5]), plain(sample[6])]),
    ].join("\n").toLowerCase();
    return entry.words;
  }

  const share = (value) => (value ? value.toPrecision(2) : "0");
  const rate = ([n, correct, mean, low, high]) => [number(correct), number(n), share(mean), `${share(low)} to ${share(high)}`];
  const chance = (p) => (p === null ? "" : p < 1e-4 ? "< 0.0001" : p.toPrecision(2));
  const row = (tag, cells) => element("tr", {}, ...cells.map((cell, i) =>
    element(i ? tag : "th", { scope: tag === "th" ? "col" : i ? null : "row", class: i === 0 || i === 7 ? "label" : null }, cell)));

  function countsTable({ group, one, problem }) {
    const level = `${data.level * 100} % interval`;
    const head = ["policy", "correct", "samples", "rate", level, "p", "q", "change"];
    const rows = one.seeds.map((seed, i) => [
      `${group.algorithm}, seed ${group.seeds[i]}, step ${group.step}`,
      ...rate(seed.counts), chance(seed.p), chance(seed.q), seed.kinds.join(", ") || "none found",
    ]);
    return element("div", { class: "wide", tabindex: "0" }, element("table", {},
      element("thead", {}, row("th", head)),
      element("tbody", {}, row("td", ["base", ...rate(problem.base), "", "", ""]), ...rows.map((cells) => row("td", cells))),
    ));
  }

  function sampleCard([index, verdict, tokens, logprob, entropy, answer, text, disputes, reason]) {
    const name = index === null ? "greedy" : `sample ${index}`;
    const mean = (sum) => (tokens === null ? "" : ` (${(sum / Math.max(tokens, 1)).toFixed(3)} a token)`);
    const each = (sum) => (sum === null ? "unknown" : `${sum.toFixed(2)}${mean(sum)}`);
    const facts = [
      // of stored samples nobody may know how they ended
      `${tokens === null ? "unknown" : number(tokens)} tokens${verdict === "truncated" ? ", cut off" : tokens === null ? "" : ", ended by itself"}`,
      `log-probability ${each(logprob)}`, `entropy ${each(entropy)}`,
    ];
    return element("article", { class: "sample" },
      element("h5", {}, name, element("span", { class: verdict === "correct" ? "verdict right" : "verdict" }, verdict)),
      box(`response, ${name}`, text),
      element("p", { class: "answer" }, answer === null ? "" : "answer ",
        answer === null ? "" : element("code", {}, ...nodes(answer)), answer === null ? reason : `: ${reason}`),
      ...disputes.map(([grader, other, times]) =>
        element("p", { class: "answer" }, `${grader} says ${other}, of ${number(times)} such sample${times === 1 ? "" : "s"}`)),
      element("p", { class: "facts" }, facts.join(" · ")),
    );
  }

  function sidePanel(title, policy, entry, verdict) {
    const { group, one } = entry;
    const all = samplesOf(policy, group.benchmark, one.problem);
    const side = (sample) => (sample[0] === null ? 0 : sample[1] === "correct" ? 1 : 2);
    const chosen = all.filter((sample) => !verdict || sample[1] === verdict);
    chosen.sort((a, b) => side(a) - side(b) || a[0] - b[0]);
    const gone = data.silent.includes(`${policy}/${group.benchmark}`) ? "the files hold no responses" : "no longer stored: see above";
    const none = all.length ? `none of the ${all.length} shown here is ${verdict}` : gone;
    return element("section", { class: "side" }, element("h4", {}, title),
      ...(chosen.length ? chosen.map(sampleCard) : [element("p", { class: "soft" }, none)]));
  }

  function detail(entry, verdict) {
    const { group, one, problem } = entry;
    const asked = data.problems[`${group.model}/${group.benchmark}`];
    const chat = asked.chat ? "; the model's own chat template is written around it" : "";
    const facts = [`${group.benchmark}, ${group.model}`];
    if (problem.stratum.length) facts.push(...[" · ", ...nodes(problem.stratum)]);
    if (problem.chance !== null) facts.push(` · a random valid response is right with chance ${share(problem.chance)}`);
    return [
      element("h3", { tabindex: "-1" }, "Problem ", ...visible(one.problem), element("span", { class: "soft" }, ` ${group.algorithm}`)),
      element("p", { class: "soft" }, ...facts),
      element("h4", {}, `Prompt (template ${asked.template}${chat})`), box("prompt", problem.prompt),
      element("h4", {}, "Reference"), box("reference", problem.reference),
      countsTable(entry),
      element("div", { class: "sides" },
        sidePanel("Base", group.model, entry, verdict),
        ...one.seeds.flatMap((seed, i) => seed.shown
          ? [sidePanel(`${group.algorithm}, seed ${group.seeds[i]}`, group.policies[i], entry, verdict)] : []),
      ),
    ];
  }

  function select(label, values) {
    const options = [["", "all"], ...values.map((value) => [value, value])];
    const chosen = element("select", { onchange: narrow },
      ...options.map(([value, text]) => element("option", { value }, text)));
    return { chosen, labelled: element("label", {}, `${label} `, chosen) };
  }

  /** The distinct values of a list, as a filter. */
  const filter = (label, values) => select(label, [...new Set(values)]);
  const filters = {
    model: filter("Model", data.groups.map((group) => group.model)),
    benchmark: filter("Benchmark", data.groups.map((group) => group.benchmark)),
    algorithm: filter("Algorithm", data.groups.map((group) => group.algorithm)),
    kind: filter("Kind", data.kinds.filter((kind) => cases.some((entry) => entry.kinds.includes(kind)))),
    verdict: filter("Verdict", cases.flatMap((entry) => [...entry.verdicts])),
  };
  const search = element("input", { type: "search", placeholder: "id, prompt, response", oninput: narrow });
  const count = element("p", { class: "soft", role: "status" });
  const list = element("ul", { class: "cases", "aria-label": "Problems", onkeydown: move });
  const shown = element("div", { class: "detail" });
  let open = null;

  function matching() {
    const value = (name) => filters[name].chosen.value;
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const wanted = (name, found) => !value(name) || found === value(name);
    return cases.filter((entry) =>
      wanted("model", entry.group.model) && wanted("benchmark", entry.group.benchmark) &&
      wanted("algorithm", entry.group.algorithm) && (!value("kind") || entry.kinds.includes(value("kind"))) &&
      (!value("verdict") || entry.verdicts.has(value("verdict"))) &&
      words.every((word) => haystack(entry).includes(word)));
  }

  function item(entry) {
    const button = element("button", { type: "button", onclick: () => show(entry) },
      element("span", { class: "asked" }, ...visible([...plain(entry.problem.prompt)].slice(0, 80).join(""))),
      element("span", { class: "soft" }, `${entry.group.benchmark} · ${entry.group.algorithm}`),
      element("span", { class: "kinds" }, entry.kinds.join(", ")));
    entry.button = button;
    return element("li", {}, button);
  }

  /** How many are listed, and how many of all problems of each kind the page holds. */
  function totals(found) {
    const groups = data.groups.filter((group) =>
      ["model", "benchmark", "algorithm"].every((name) => [group[name], ""].includes(filters[name].chosen.value)));
    const sum = (kind, place) => number(groups.reduce((total, group) => total + group.totals[kind][place], 0));
    const kinds = filters.kind.chosen.value ? [filters.kind.chosen.value] : data.kinds;
    const shares = kinds.map((kind) => `${sum(kind, 0)} of ${sum(kind, 1)} ${kind}`);
    return `${number(found)} listed. On this page, a problem counted once for each algorithm: ${shares.join(", ")}.`;
  }

  function narrow() {
    const found = matching();
    list.replaceChildren(...found.map(item));
    count.textContent = totals(found.length);
    if (found.includes(open)) show(open);
    else if (found.length) show(found[0]);
    else {
      open = null;
      shown.replaceChildren(element("p", { class: "soft" }, "No problem is like that."));
    }
  }

  function show(entry) {
    open = entry;
    for (const button of list.querySelectorAll("[aria-current]")) button.removeAttribute("aria-current");
    entry.button.setAttribute("aria-current", "true");
    shown.replaceChildren(...detail(entry, filters.verdict.chosen.value));
    shown.scrollTop = 0;
  }

  /** Up and down go through the list and open what they reach; enter goes on to the problem itself. */
  function move(event) {
    const buttons = [...list.querySelectorAll("button")];
    const at = buttons.indexOf(document.activeElement);
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: buttons.length - 1 }[event.key];
    if (event.key === "Enter") {
      event.preventDefault();
      buttons[at].click();
      shown.querySelector("h3").focus();
    } else if (to !== undefined && buttons[to]) {
      event.preventDefault();
      buttons[to].focus();
      buttons[to].click();
    }
  }

  const absent = data.absent.map(([policy, benchmark, gone, files]) =>
    element("li", {}, `${policy} on ${benchmark}: ${gone} of ${files} files are gone`));
  const note = absent.length
    ? [element("p", {}, "Samples that were no longer in the store when this page was made, so that their responses cannot be shown:"), element("ul", { class: "absent" }, ...absent)]
    : [];
  const few = [filters.model, filters.benchmark, filters.algorithm, filters.kind, filters.verdict]
    .filter((each, i) => i || each.chosen.options.length > 2);
  const how = `Gained and lost: at a false discovery rate of ${data.rate} within each run and benchmark. For every algorithm, ` +
    `benchmark and kind at most ${data.most} problems: those that changed in most seeds, then those with the smallest p. Of every ` +
    `side the greedy response, and the first ${data.each} correct and ${data.each} other ones by sample index. Texts longer than ` +
    `${number(data.excerpt)} characters are shortened, and the search looks through what is here; `;
  document.getElementById("samples-browser").replaceChildren(
    element("p", { class: "soft" }, how, element("a", { href: data.archive }, data.archive), " beside this file holds the whole texts."),
    ...note,
    ...(cases.length ? [
      element("div", { class: "filters", role: "search" }, ...few.map((each) => each.labelled), element("label", {}, "Search ", search)),
      count, element("div", { class: "browser" }, list, shown),
    ] : [element("p", {}, "No problem was gained, lost, solved by one side alone or disputed.")]),
  );
  if (cases.length) narrow();
}
