// Asks for tokens of managed identities with @azure/identity. Reads a JSON list of the options of credentials, writes
// one: {token, expiresOn}, or {error, message}.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import net from "node:net";

const { ManagedIdentityCredential } = createRequire(import.meta.url)("@azure/identity"); // NODE_PATH, as in judge.mjs

// A client that no longer looks at the variable would ask the real address, where another service may answer.
const connect = net.Socket.prototype.connect;
net.Socket.prototype.connect = function (...given) {
  const [{ host }] = [given.flat()[0] ?? {}];
  if (host !== "127.0.0.1") throw new Error(`a client wants to talk to ${host}`);
  return connect.apply(this, given);
};

async function answer(options) {
  try {
    const { token, expiresOnTimestamp } = await new ManagedIdentityCredential(options).getToken(process.argv[2]);
    return { token, expiresOn: expiresOnTimestamp / 1000 };
  } catch ({ name, message }) {
    return { error: name, message };
  }
}

const answers = [];
for (const options of JSON.parse(readFileSync(0))) answers.push(await answer(options)); // in order, so that the log is
console.log(JSON.stringify(answers));
