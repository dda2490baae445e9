"use strict";

// The elements of the page, and how numbers are told. Whatever comes from a test goes in as text, never as HTML.

const byId = (id) => document.getElementById(id);

function filled(made, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && value !== false) made.setAttribute(name, value);
  }
  made.append(...children.filter((child) => child !== null));
  return made;
}

const element = (name, attributes = {}, ...children) => filled(document.createElement(name), attributes, children);
const drawn = (name, attributes = {}, ...children) =>
  filled(document.createElementNS("http://www.w3.org/2000/svg", name), attributes, children);

const counted = (count, one, many = `${one}s`) => `${count.toLocaleString("en")} ${count === 1 ? one : many}`;

// Two units are enough to compare by.
function duration(seconds) {
  if (seconds < 0.0005) return seconds > 0 ? "<1 ms" : "0 s";
  if (seconds < 0.9995) return `${Math.round(seconds * 1000)} ms`;
  if (seconds < 119.5) return `${Number(seconds.toFixed(seconds < 10 ? 2 : 1))} s`;
  const units = [["d", 86400], ["h", 3600], ["min", 60], ["s", 1]];
  const first = units.findIndex(([, size]) => seconds >= size);
  const [[large, size], [small, part]] = units.slice(first, first + 2);
  const parts = Math.round(seconds / part);
  const rest = parts % (size / part);
  return `${((parts - rest) * part / size).toLocaleString("en")} ${large}${rest ? ` ${rest} ${small}` : ""}`;
}

const size = (bytes) =>
  bytes < 10240 ? counted(bytes, "byte") : `${Math.round(bytes / 1024).toLocaleString("en")} KiB`;
