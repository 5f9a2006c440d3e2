// Parses an AsyncAPI document and everything it refers to, and prints what is wrong with it as JSON. Exits with 1 if anything is.
//
// usage: node asyncapi.mjs FILE

import { Parser, fromFile } from "@asyncapi/parser";

const { document, diagnostics } = await fromFile(new Parser(), process.argv[2]).parse();
const errors = diagnostics.filter(({ severity }) => severity === 0);
console.log(JSON.stringify({
  errors: errors.map(({ path, message }) => `${path.join(".")}: ${message}`),
  channels: document?.channels().all().map((channel) => channel.address()) ?? [],
}));
process.exitCode = errors.length ? 1 : 0;
