// The panel that shows one exchange.

const panel = byId("exchange");
// Which exchange is asked for, and what had the focus before: { test, serverIndex, index, from }.
let current = null;

// Bodies and headers are nine tenths of what there is to say about a run, so they are kept deflated, a line a test.
const apart = byId("apart").textContent.split("\n");
const inflated = new Map();

async function inflate(text) {
  const bytes = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"))).json();
}

function whole(test) {
  if (!inflated.has(test)) inflated.set(test, inflate(apart[test.number]));
  return inflated.get(test);
}

// JSON is shown in lines without a change to any of its tokens; it may be cut, so it is not parsed.
function indented(text) {
  if (!/^\s*[[{]/.test(text)) return text;
  let depth = 0;
  return text.replace(/"(?:[^"\\]|\\.)*"?|[{[]\s*[}\]]|[{}[\],:]|\s+/g, (token) => {
    const line = () => `\n${"  ".repeat(Math.max(depth, 0))}`;
    if (/^\s/.test(token)) return "";
    if (token === "{" || token === "[") return token + (depth++, line());
    if (token === "}" || token === "]") return (depth--, line()) + token;
    if (token === ",") return token + line();
    return token === ":" ? ": " : token;
  });
}

const code = (title, text) =>
  text ? [element("h3", {}, title), element("pre", { tabindex: 0, role: "region", "aria-label": title }, text)] : [];

const headers = (title, pairs) =>
  pairs.length
    ? [
        element("h3", {}, title),
        element("dl", { class: "headers" }, ...pairs.flatMap(([name, value]) => [
          element("dt", {}, name), element("dd", {}, value)])),
      ]
    : [];

function facts(server, exchange) {
  const began = new Date((server.began + exchange.at) * 1000);
  const rows = [
    ["Arrived", `${duration(exchange.at)} after the test began`],
    ["Time", began.toISOString().replace("T", " ").replace("Z", " UTC")],
    ["Answered", exchange.took === null ? "never" : `after ${duration(exchange.took)}`],
    ["Faults", exchange.faults.join(", ") || "none"],
    ["Client", `${exchange.peer}${exchange.proxied ? ", which took the server for a proxy" : ""}`],
    ["Server", `${server.vm} at ${server.url}`],
  ];
  if (exchange.status !== null) rows.splice(3, 0, ["Body", size(exchange.bytes)]);
  return element("dl", { class: "facts" }, ...rows.flatMap(([name, value]) => [
    element("dt", {}, name), element("dd", {}, value)]));
}

async function show(test, serverIndex, index, from) {
  const server = test.servers[serverIndex];
  const mine = { test, serverIndex, index, from: from || (current && current.from) };
  current = mine;
  mark();
  const exchange = { ...server.exchanges[index], ...(await whole(test))[serverIndex][index] };
  if (current !== mine) return; // another was asked for meanwhile
  const step = (label, to, sign) => {
    const disabled = server.exchanges[to] ? null : "";
    return element("button", { type: "button", class: "step", "aria-label": label, "data-to": to, disabled }, sign);
  };
  panel.replaceChildren(
    element("div", { class: "tools" },
      element("p", {}, `Request ${exchange.n} of ${server.dropped + server.exchanges.length}`),
      step("Request before", index - 1, "‹"), step("Request after", index + 1, "›"),
      element("button", { type: "button", class: "step", id: "close", "aria-label": "Close" }, "×")),
    element("h2", { id: "line", tabindex: -1 },
      element("span", { class: `status ${kind(exchange)}` }, answer(exchange)), " ", lineOf(exchange)),
    facts(server, exchange),
    ...headers("Request headers", exchange.sent),
    ...code("Request body", indented(exchange.body)),
    ...headers("Reply headers", exchange.got),
    ...code("Reply", indented(exchange.reply)),
  );
  panel.hidden = false;
  panel.scrollTop = 0;
  document.documentElement.classList.add("beside");
  // The rows have become narrower, and may have gone.
  rows.get(test).querySelector("tr[aria-current]").scrollIntoView({ block: "nearest" });
  byId("line").focus({ preventScroll: true });
  byId("said").textContent = `Request ${spoken(exchange)}`;
}

function leave() {
  if (!current) return;
  const { from } = current;
  current = null;
  panel.hidden = true;
  document.documentElement.classList.remove("beside");
  mark();
  if (from && from.isConnected) from.focus();
}

// Show in the timelines and lists which exchange the panel has.
function mark() {
  for (const before of document.querySelectorAll("[aria-current]")) before.removeAttribute("aria-current");
  if (!current) return;
  const row = rows.get(current.test);
  const { n } = current.test.servers[current.serverIndex].exchanges[current.index];
  for (const one of row.querySelectorAll(`[data-server="${current.serverIndex}"][data-n="${n}"]`)) {
    one.setAttribute("aria-current", "true");
  }
}

function go(to) {
  const { test, serverIndex } = current;
  if (test.servers[serverIndex].exchanges[to]) show(test, serverIndex, to);
}

panel.addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (!button) return;
  if (button.id === "close") leave();
  else go(Number(button.dataset.to));
});

panel.addEventListener("keydown", (event) => {
  // In what scrolls, arrows scroll.
  if (event.target.closest("pre")) return;
  const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  if (by) {
    event.preventDefault();
    go(current.index + by);
  }
});

document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") leave();
});
