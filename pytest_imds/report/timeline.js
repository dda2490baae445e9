// The timelines. Places in time are percentages of the width, so that nothing is drawn anew when the window changes.

const LANES_AT_MOST = 4; // in a row that is closed
const NARROW_PERCENT = 1.3; // two marks nearer than this would cover each other
const LEVELS = 4;
const TICKS_AT_MOST = 9;
const STEPS = [1, 2, 5, 10, 20, 50, 100, 200, 500].map((ms) => ms / 1000).concat(
  [1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14400, 43200, 86400],
);

function kind(exchange) {
  if (exchange.status === null) return "unanswered";
  return { 3: "moved", 4: "refused", 5: "failed" }[Math.floor(exchange.status / 100)] || "ok";
}

// What is worse is drawn later, and so is not covered.
const GRAVITY = ["ok", "moved", "refused", "failed", "unanswered"];
const byGravity = (one, other) => GRAVITY.indexOf(kind(one)) - GRAVITY.indexOf(kind(other));

const answer = (exchange) => (exchange.status === null ? "no reply" : String(exchange.status));
const lineOf = (exchange) =>
  exchange.method ? `${exchange.method} ${exchange.target}` : "what is no HTTP request";

function spoken(exchange) {
  const broken = exchange.faults.length ? `, broken by ${exchange.faults.join(" and ")}` : "";
  return `${exchange.n}: ${lineOf(exchange)}, ${answer(exchange)}, at ${duration(exchange.at)}${broken}`;
}

// How many seconds a timeline has: all servers of a test share one axis.
function spanOf(test) {
  const ends = test.servers.flatMap((server) => [
    server.duration,
    ...server.exchanges.map((exchange) => exchange.at + (exchange.took || 0)),
    ...server.windows.map((window) => window.end || window.begin || 0),
    ...server.jumps.map(([at, seconds]) => at + seconds),
  ]);
  return ends.reduce((most, end) => Math.max(most, end), 0.001);
}

function scale(span) {
  const percent = (at) => `${(Math.min(Math.max(at / span, 0), 1) * 100).toFixed(3)}%`;
  const stretch = (begin, end) => ({ x: percent(begin), width: percent(Math.max(end - begin, 0)) });
  return { percent, stretch, span };
}

const begun = (server) => server.windows.filter((window) => window.begin !== null);

// What lies behind the marks: skipped time, faults at work, the line of time itself.
function* ground(server, along, top, height) {
  for (const [at, seconds] of server.jumps) {
    yield drawn("rect", { class: "asleep", ...along.stretch(at, at + seconds), y: top, height });
  }
  for (const window of begun(server)) {
    const stretch = along.stretch(window.begin, window.end === null ? along.span : window.end);
    yield drawn("rect", { class: "window", ...stretch, y: top, height });
  }
  yield drawn("line", { class: "time", x1: "0", x2: "100%", y1: top + height, y2: top + height });
}

// What belongs to a mark and is none: how long the reply took, and a ring if a fault has broken the request.
function* around(server, along, y) {
  for (const exchange of server.exchanges) {
    const middle = y(exchange);
    const cx = along.percent(exchange.at);
    if (exchange.faults.length) yield drawn("circle", { class: "ring", cx, cy: middle, r: 8 });
    if (exchange.took === null) continue;
    const stretch = along.stretch(exchange.at, exchange.at + exchange.took);
    yield drawn("rect", { class: `bar ${kind(exchange)}`, ...stretch, y: middle - 1.5, height: 3 });
  }
}

function told(test) {
  const exchanges = test.servers.flatMap((server) => server.exchanges);
  const answers = new Map();
  for (const one of exchanges) answers.set(answer(one), (answers.get(answer(one)) || 0) + 1);
  return [
    `Timeline of ${duration(spanOf(test))}`,
    counted(exchanges.length, "request"),
    ...[...answers].map(([status, count]) => `${count} times ${status}`),
    ...test.servers.flatMap(begun).map((window) => window.told),
  ].join(", ");
}

// The timeline of a row that is closed: a picture, whose marks a mouse may click.
function miniature(test) {
  const along = scale(spanOf(test));
  const lanes = test.servers.slice(0, LANES_AT_MOST);
  const tall = lanes.length > 1 ? 17 : 26;
  const parts = lanes.flatMap((server, index) => {
    const top = index * (tall + 3);
    return [
      ...ground(server, along, top, tall),
      ...around(server, along, () => top + tall / 2),
      ...[...server.exchanges].sort(byGravity).map((exchange) =>
        drawn("use", {
          class: `mark ${kind(exchange)}`, href: `#${kind(exchange)}`, x: along.percent(exchange.at), y: top + tall / 2,
          "data-server": index, "data-n": exchange.n,
        }, drawn("title", {}, spoken(exchange)))),
    ];
  });
  const height = lanes.length * (tall + 3);
  return drawn("svg", { class: "timeline", height, role: "img", "aria-label": told(test) }, ...parts);
}

function ticks(span) {
  const days = Math.ceil(span / 86400 / TICKS_AT_MOST) * 86400;
  const step = STEPS.find((one) => span / one <= TICKS_AT_MOST) || days;
  return Array.from({ length: Math.floor(span / step + 1e-9) + 1 }, (_, index) => index * step);
}

function* axis(along, bottom) {
  for (const [index, at] of ticks(along.span).entries()) {
    const odd = index % 2 ? " odd" : "";
    const x = along.percent(at);
    yield drawn("line", { class: `tick${odd}`, x1: x, x2: x, y1: bottom, y2: bottom + 5 });
    // The first and the last label would stand out of the picture.
    const anchor = index === 0 ? "start" : at > along.span * 0.97 ? "end" : "middle";
    yield drawn("text", { class: `label${odd}`, x, y: bottom + 17, "text-anchor": anchor }, duration(at));
  }
}

// Marks that would cover each other stand on levels; whoever finds none free shares one.
function levels(exchanges, span) {
  const last = Array(LEVELS).fill(-Infinity);
  return new Map(exchanges.map((exchange) => {
    const place = (exchange.at / span) * 100;
    const free = last.findIndex((end) => place - end >= NARROW_PERCENT);
    const level = free >= 0 ? free : last.indexOf(Math.min(...last));
    last[level] = place;
    return [exchange, level];
  }));
}

// The timeline of a server in a row that is open: its marks are buttons, one of which Tab reaches.
function large(test, server, serverIndex) {
  const along = scale(spanOf(test));
  const placed = levels(server.exchanges, along.span);
  const strip = 20;
  const top = begun(server).length * strip;
  const tall = 18 + 16 * Math.max(1, ...[...placed.values()].map((level) => level + 1));
  const y = (exchange) => top + tall - 16 - 16 * placed.get(exchange);
  const banners = begun(server).flatMap((window, index) => {
    const end = window.end === null ? along.span : window.end;
    const late = window.begin > along.span * 0.6;
    const open = window.end === null ? ", open" : "";
    return [
      drawn("rect", { class: "banner", ...along.stretch(window.begin, end), y: index * strip, height: strip - 2 }),
      drawn("rect", { class: "edge", x: along.percent(window.begin), width: 2, y: index * strip, height: strip - 2 }),
      drawn("text", {
        class: "label told", x: along.percent(late ? end : window.begin), dx: late ? -6 : 7, y: index * strip + 13,
        "text-anchor": late ? "end" : "start",
      }, `${window.told} · ${counted(window.hits, "request")}${open}`),
    ];
  });
  const marks = server.exchanges.map((exchange, index) =>
    drawn("use", {
      class: `mark ${kind(exchange)}`, href: `#${kind(exchange)}`, x: along.percent(exchange.at), y: y(exchange),
      role: "button", tabindex: index ? -1 : 0, "aria-label": spoken(exchange),
      "data-server": serverIndex, "data-n": exchange.n,
    }, drawn("title", {}, spoken(exchange))));
  return drawn(
    "svg",
    { class: "timeline", height: top + tall + 22, role: "group", "aria-label": `Requests to ${server.vm} in time` },
    ...ground(server, along, top, tall), ...banners, ...around(server, along, y), ...axis(along, top + tall), ...marks,
  );
}
