// Judges attested documents as Taskcluster's worker manager does: node-forge reads the PKCS#7 document and walks the
// chain, node:crypto verifies the signature over the content. Reads a JSON list, writes one: null, or why it refuses.
import assert from "node:assert";
import crypto from "node:crypto";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const forge = createRequire(import.meta.url)("node-forge"); // an import would not look in NODE_PATH

const fromDer = (base64) => forge.asn1.fromDer(forge.util.createBuffer(Buffer.from(base64, "base64")));

function judge({ signature, root, issuers, domain }) {
  const { certificates, rawCapture } = forge.pkcs7.messageFromAsn1(fromDer(signature));
  assert.equal(certificates.length, 1, "certificates");
  const [signer] = certificates;
  const content = Buffer.from(rawCapture.content.value[0].value, "binary");
  const key = forge.pki.publicKeyToPem(signer.publicKey);
  assert(crypto.createVerify("RSA-SHA256").update(content).verify(key, rawCapture.signature, "binary"), "signature");
  assert.equal(signer.subject.getField({ name: "commonName" }).value, domain);
  const chain = [signer, ...issuers.map((der) => forge.pki.certificateFromAsn1(fromDer(der)))];
  forge.pki.verifyCertificateChain(forge.pki.createCaStore([root]), chain);
}

function verdict(document) {
  try {
    judge(document);
    return null;
  } catch (error) {
    return String(error.message ?? error);
  }
}

console.log(JSON.stringify(JSON.parse(readFileSync(0)).map(verdict)));
