"use strict";

/** An element with attributes and children; strings become text, never markup: names and model output are hostile. */
function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value === true) made.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
}

/** What the page holds as JSON under an id. */
function embedded(id) {
  return JSON.parse(document.getElementById(id).textContent);
}
