// Asks services for a token each, with @azure/identity or @azure/msal-node, while something is wrong at them. Whoever
// waits does so in a virtual time of this process. Reads a JSON list of the addresses of services, writes one:
// {asked: [how long had been waited at each request, in seconds], token}, or {asked, error}.
import diagnostics from "node:diagnostics_channel";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import net from "node:net";

const require = createRequire(import.meta.url); // NODE_PATH, as in judge.mjs
const [library, resource] = process.argv.slice(2);

// A client that no longer looks at the variable would ask the real address, where another service may answer.
const connect = net.Socket.prototype.connect;
net.Socket.prototype.connect = function (...given) {
  const [{ host, hostname }] = [given.flat()[0] ?? {}];
  if ((host ?? hostname) !== "127.0.0.1") throw new Error(`a client wants to talk to ${host ?? hostname}`);
  return connect.apply(this, given);
};

// Only one waits at a time, and for nothing else: so a wait moves the time on by as much as it takes. What Node itself
// waits for are time-outs beside a request that is under way: those it keeps.
let waited = 0;
const [later, now] = [setTimeout, Date.now];
Date.now = () => now() + waited;
globalThis.setTimeout = (wake, delay = 0, ...given) => {
  const [, , caller] = new Error().stack.split("\n");
  if (caller.includes("node:internal")) return later(wake, delay, ...given);
  return later(() => {
    waited += delay;
    wake(...given);
  }, 0);
};

let asked = [];
let began = 0;
for (const sent of ["http.client.request.start", "undici:request:create"]) {
  diagnostics.subscribe(sent, () => asked.push((waited - began) / 1000));
}

const TOKEN = {
  async identity() {
    const { ManagedIdentityCredential } = require("@azure/identity");
    return (await new ManagedIdentityCredential().getToken(`${resource}/.default`)).token;
  },
  async "msal-node"() {
    const { ManagedIdentityApplication } = require("@azure/msal-node");
    return (await new ManagedIdentityApplication().acquireToken({ resource })).accessToken;
  },
};

// A process settles once which service it asks: what holds that is loaded anew for each.
function forget() {
  for (const path of Object.keys(require.cache)) {
    if (/[\\/]@azure[\\/](identity|msal-node)[\\/]/.test(path)) delete require.cache[path];
  }
}

const answers = [];
for (const service of JSON.parse(readFileSync(0))) {
  forget();
  [asked, began] = [[], waited];
  process.env.AZURE_POD_IDENTITY_AUTHORITY_HOST = service;
  const told = await TOKEN[library]().then(
    (token) => ({ token }),
    ({ name }) => ({ error: name }),
  );
  answers.push({ asked, ...told });
}
console.log(JSON.stringify(answers));
