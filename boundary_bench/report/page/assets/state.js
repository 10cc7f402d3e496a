"use strict";

const study = embedded("data-study");
/** What the reader has chosen, by name; the keys are those of the address's hash. */
const chosen = {};

/** What can be chosen: [value, text] pairs, the first of which is the default. */
function choices() {
  const same = (name) => [name, name];
  const seeds = study.seeds.map((seed) => [seed, `seed ${seed}`]);
  return [
    { name: "model", label: "Model", values: study.models.map(same) },
    { name: "benchmark", label: "Benchmark", values: study.benchmarks.map(same) },
    { name: "algorithm", label: "Algorithm", values: orAll("all of them", study.algorithms.map(same)) },
    { name: "seed", label: "Seeds", values: orAll(`mean over ${seeds.length}`, seeds) },
    { name: "interval", label: "Intervals", values: Object.entries(INTERVALS).map(([kind, { text }]) => [kind, text]) },
  ];
}

function orAll(text, values) {
  return values.length > 1 ? [["", text], ...values] : [["", values[0][1]]];
}

/** What an interval speaks of. */
const INTERVALS = {
  band: { text: "band over all k", long: "simultaneous band: problems like these, every k at once" },
  problems: { text: "problems and samples", long: "problems and samples like these, one k" },
  samples: { text: "this very set again", long: "this very set of problems, sampled again, one k" },
};

/** Take from the hash what it names and what exists; the rest stays, or is the default. A plain anchor changes nothing. */
function readHash() {
  const asked = new URLSearchParams(location.hash.includes("=") ? location.hash.slice(1) : "");
  for (const { name, values } of choices()) {
    const known = values.map(([value]) => value);
    if (known.includes(asked.get(name))) chosen[name] = asked.get(name);
    else if (!known.includes(chosen[name])) chosen[name] = known[0];
  }
}

/** Write into the hash what is not the default, so that the address can be sent to someone. */
function writeHash() {
  const kept = choices().filter(({ name, values }) => chosen[name] !== values[0][0]);
  const hash = new URLSearchParams(kept.map(({ name }) => [name, chosen[name]])).toString();
  history.replaceState(null, "", hash ? `#${hash}` : location.pathname + location.search);
}

/** Put the controls into a form; `changed` is called after every choice. */
function addControls(form, changed) {
  const offered = choices().filter(({ values }) => values.length > 1);
  for (const { name, label, values } of offered) {
    const options = values.map(([value, text]) => element("option", { value, selected: value === chosen[name] }, text));
    const choose = (event) => {
      chosen[name] = event.target.value;
      writeHash();
      changed();
    };
    form.append(
      element("label", {}, element("span", {}, label), element("select", { name, onchange: choose }, ...options)),
    );
  }
  addEventListener("hashchange", () => {
    if (!location.hash.includes("=")) return;
    readHash();
    for (const select of form.querySelectorAll("select")) select.value = chosen[select.name];
    changed();
  });
}
