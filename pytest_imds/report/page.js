// The whole page: the summary, and which tests are shown.

const OUTCOMES = ["failed", "error", "xpassed", "xfailed", "skipped", "passed"];
// So many rows are laid out together, when they come near: a run may have ten thousand.
const TOGETHER = 100;
const run = JSON.parse(byId("run").textContent);
for (const read of ["run", "apart"]) byId(read).remove(); // their text is as large as what was made of it

function summary() {
  const requests = run.tests.reduce((sum, test) =>
    test.servers.reduce((one, server) => one + server.dropped + server.exchanges.length, sum), 0);
  return [
    `${counted(run.tests.length, "test")} with a server, ${run.others.toLocaleString("en")} without`,
    counted(requests, "request"),
    `${run.made.replace("T", " ").slice(0, 16)} UTC`,
    `pytest-imds ${run.version}`,
  ].join(" · ");
}

const tally = (names) => {
  const counts = new Map();
  for (const name of names) counts.set(name, (counts.get(name) || 0) + 1);
  return counts;
};

function controls() {
  const outcomes = tally(run.tests.map((test) => test.outcome));
  byId("outcomes").append(...OUTCOMES.filter((outcome) => outcomes.has(outcome)).map((outcome) =>
    element("button", { type: "button", class: `toggle ${outcome}`, "aria-pressed": "false", "data-outcome": outcome },
      outcome, " ", element("span", {}, outcomes.get(outcome).toLocaleString("en")))));
  const faults = tally(run.tests.flatMap((test) => [...test.faults]));
  byId("fault").append(...[...faults].sort().map(([fault, count]) =>
    element("option", { value: fault }, `${fault} (${count.toLocaleString("en")})`)));
}

function asked() {
  const pressed = [...byId("outcomes").querySelectorAll('[aria-pressed="true"]')];
  return {
    outcomes: new Set(pressed.map((button) => button.dataset.outcome)),
    fault: byId("fault").value,
    path: byId("path").value.trim().toLowerCase(),
  };
}

function filter() {
  const { outcomes, fault, path } = asked();
  for (const test of run.tests) {
    test.fits = (!outcomes.size || outcomes.has(test.outcome)) && (!fault || test.faults.has(fault)) &&
      (!path || test.targets.includes(path));
    rows.get(test).hidden = !test.fits;
  }
  for (const group of byId("tests").children) {
    // How high it will be while it is out of sight.
    group.style.setProperty("--rows", group.querySelectorAll(":scope > :not([hidden])").length);
  }
  if (current && !current.test.fits) leave();
  const all = run.tests.length;
  const count = run.tests.filter((test) => test.fits).length;
  byId("shown").textContent = (count < all ? `${count.toLocaleString("en")} of ` : "") + counted(all, "test");
  byId("tests").hidden = !count;
  byId("none").hidden = count > 0;
  byId("none").textContent = all ? "No test is like that. Clear the filters to see all of them."
    : "No test of this run had an IMDS server.";
}

byId("outcomes").addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (!button) return;
  button.setAttribute("aria-pressed", String(button.getAttribute("aria-pressed") !== "true"));
  filter();
});
byId("filters").addEventListener("input", filter);
byId("filters").addEventListener("submit", (event) => event.preventDefault());
byId("clear").addEventListener("click", () => {
  for (const button of byId("outcomes").children) button.setAttribute("aria-pressed", "false");
  byId("fault").value = byId("path").value = "";
  filter();
});

for (const [number, test] of run.tests.entries()) {
  Object.assign(test, test.story, { number });
  test.faults = faultsOf(test);
  test.targets = exchangesOf(test).map((exchange) => exchange.target.toLowerCase()).join("\n");
}
byId("summary").textContent = summary();
controls();
for (let from = 0; from < run.tests.length; from += TOGETHER) {
  const together = run.tests.slice(from, from + TOGETHER).map(row);
  byId("tests").append(element("div", { class: "group", role: "presentation" }, ...together));
}
for (const made of rows.values()) sight.observe(made);
filter();
