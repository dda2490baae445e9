// The rows: one for each test. A row is filled when it comes into sight, and its inside is made when it is opened.

const AHEAD_PX = 600;
const rows = new Map(); // test -> its element
const tests = new WeakMap(); // and back

const exchangesOf = (test) => test.servers.flatMap((server) => server.exchanges);
const faultsOf = (test) =>
  new Set(test.servers.flatMap((server) => [
    ...server.windows.map((window) => window.told.split("(")[0]),
    ...server.exchanges.flatMap((exchange) => exchange.faults),
  ]));

const template = byId("row").content.firstElementChild;

function row(test) {
  const made = template.cloneNode(true);
  const at = test.id.indexOf("::");
  const badge = made.querySelector(".badge");
  badge.textContent = test.outcome;
  badge.classList.add(test.outcome);
  made.querySelector(".name").textContent = at < 0 ? test.id : test.id.slice(at + 2);
  made.querySelector(".facts").textContent = [
    at < 0 ? "" : test.id.slice(0, at),
    test.servers.length > 1 ? counted(test.servers.length, "server") : "",
    counted(test.servers.reduce((sum, server) => sum + server.dropped + server.exchanges.length, 0), "request"),
    [...test.faults].join(", "),
    duration(spanOf(test)),
  ].filter(Boolean).map((part) => part.replaceAll(" ", "\u00a0")).join(" · ");
  rows.set(test, made);
  tests.set(made, test);
  return made;
}

const sight = new IntersectionObserver((entries) => {
  for (const { isIntersecting, target } of entries) {
    if (!isIntersecting) continue;
    sight.unobserve(target);
    target.querySelector(".picture").append(miniature(tests.get(target)));
  }
}, { rootMargin: `${AHEAD_PX}px` });

function list(server, serverIndex) {
  const body = server.exchanges.map((exchange) =>
    element("tr", { "data-server": serverIndex, "data-n": exchange.n },
      element("td", {}, String(exchange.n)),
      element("td", {}, duration(exchange.at)),
      element("td", {}, exchange.took === null ? "" : duration(exchange.took)),
      element("td", { class: "line" },
        element("button", { type: "button", class: "request" }, lineOf(exchange))),
      element("td", {}, element("span", { class: `status ${kind(exchange)}` }, answer(exchange))),
      element("td", { class: "optional" }, exchange.status === null ? "" : size(exchange.bytes)),
      element("td", {}, exchange.faults.join(", "))));
  const titles = [["#"], ["at"], ["took"], ["request", "line"], ["status"], ["body", "optional"], ["faults"]];
  return element("table", {},
    element("caption", { class: "unseen" }, `Requests to ${server.vm}`),
    element("thead", {}, element("tr", {}, ...titles.map(([title, name = null]) =>
      element("th", { scope: "col", class: name }, title)))),
    element("tbody", {}, ...body));
}

function remarks(server) {
  const lines = server.windows.filter((window) => window.begin === null).map((window) => `${window.told} never began.`);
  if (server.dropped) {
    const first = counted(server.dropped, "request");
    lines.push(`The first ${first} to this server ${server.dropped === 1 ? "is" : "are"} left out.`);
  }
  return lines;
}

const bullets = (name, lines) =>
  lines.length ? element("ul", { class: name }, ...lines.map((line) => element("li", {}, line))) : null;

function section(test, server, index) {
  const { vm, profile, seed, url, exchanges, findings } = server;
  return element("section", { "aria-label": `Server of ${vm}` },
    element("p", { class: "server" }, element("strong", {}, vm), ` ${profile}, seed ${seed} · ${url}`),
    bullets("findings", findings),
    exchanges.length || begun(server).length
      ? element("div", { class: "picture" }, large(test, server, index)) : null,
    bullets("remarks", remarks(server)),
    exchanges.length ? list(server, index) : element("p", { class: "empty" }, "No request came to this server."));
}

function inside(test) {
  const why = { class: `why ${test.outcome}`, tabindex: 0, role: "region", "aria-label": "What went wrong" };
  const words = test.again.split(" ").flatMap((word) => [element("span", {}, word), " "]);
  return element("div", { class: "inside" },
    test.why ? element("pre", why, test.why) : null,
    ...test.servers.map((server, index) => section(test, server, index)),
    element("p", { class: "again" },
      `${duration(test.duration)} of real time. Again: `, element("code", {}, ...words)));
}

function toggle(made, expanded) {
  const button = made.querySelector(".name");
  const shown = button.getAttribute("aria-expanded") === "true";
  if (shown === expanded) return;
  button.setAttribute("aria-expanded", String(expanded));
  made.classList.toggle("open", expanded);
  if (expanded) made.append(inside(tests.get(made)));
  else made.querySelector(".inside").remove();
  if (current && current.test === tests.get(made)) {
    if (expanded) mark();
    else leave();
  }
}

function chosen(one) {
  const test = tests.get(one.closest(".test"));
  const serverIndex = Number(one.dataset.server);
  const index = test.servers[serverIndex].exchanges.findIndex((exchange) => exchange.n === Number(one.dataset.n));
  return { test, serverIndex, index };
}

byId("tests").addEventListener("click", (event) => {
  const made = event.target.closest(".test");
  if (!made) return;
  const one = event.target.closest("[data-n]");
  if (one) {
    const { test, serverIndex, index } = chosen(one);
    const which = `[data-server="${serverIndex}"][data-n="${one.dataset.n}"]`;
    toggle(made, true);
    // What a closed row shows is a picture: the focus will come back to the button that has taken its place.
    const back = one.closest(".inside") ? one : made.querySelector(`.inside ${which}`);
    show(test, serverIndex, index, back.querySelector("button") || back);
  } else if (event.target.closest(".name") || (event.target.closest(".head") && !String(getSelection()))) {
    toggle(made, made.querySelector(".name").getAttribute("aria-expanded") !== "true");
  }
});

// Arrows go from request to request, in a timeline and in a list; Tab leaves them.
byId("tests").addEventListener("keydown", (event) => {
  const { target, key } = event;
  const isMark = target.matches("use.mark");
  if (isMark && (key === "Enter" || key === " ")) {
    event.preventDefault();
    target.dispatchEvent(new MouseEvent("click", { bubbles: true }));
    return;
  }
  if (!isMark && !target.matches(".request")) return;
  const all = [...target.closest("svg, table").querySelectorAll(".mark, .request")];
  const at = all.indexOf(target);
  const [before, after] = [at - 1, at + 1];
  const end = all.length - 1;
  const to = { ArrowLeft: before, ArrowUp: before, ArrowRight: after, ArrowDown: after, Home: 0, End: end }[key];
  if (!all[to]) return;
  event.preventDefault();
  if (isMark) {
    target.setAttribute("tabindex", -1);
    all[to].setAttribute("tabindex", 0);
  }
  all[to].focus();
});
