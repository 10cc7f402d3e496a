"use strict";

/** Start: read the address, put the controls, and draw every panel anew after each choice. */

const data = embedded("data-panels");

function drawAll() {
  const view = currentView(data.curves);
  for (const answer of document.querySelectorAll("[data-answer]")) {
    answer.hidden = answer.dataset.model !== chosen.model || answer.dataset.benchmark !== chosen.benchmark;
  }
  const whose = [
    study.models.length > 1 ? chosen.model : "",
    chosen.benchmark,
    chosen.seed ? `seed ${chosen.seed}` : study.seeds.length > 1 ? `mean over ${study.seeds.length} seeds` : "",
  ];
  for (const place of document.querySelectorAll(".whose")) place.textContent = whose.filter(Boolean).join(", ");
  for (const [id, panel] of Object.entries(panels)) fill(id, panel({ ...data, view }));
}

/** Draw once for every width of the window. */
let drawnWidth = 0;
function drawAtWidth() {
  const width = document.body.clientWidth;
  if (width === drawnWidth) return;
  drawnWidth = width;
  drawAll();
}

/** What is printed is drawn for paper: as wide as an A4 page between its margins. */
function setPaper(printing) {
  document.body.classList.toggle("on-paper", printing);
  drawAtWidth();
}

readHash();
addControls(document.getElementById("controls"), drawAll);
drawAtWidth();
new ResizeObserver(drawAtWidth).observe(document.body);
addEventListener("beforeprint", () => setPaper(true));
addEventListener("afterprint", () => setPaper(false));
