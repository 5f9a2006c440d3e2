// Sends fluxhls a request and prints the reply. No database access is needed.
//
// usage: NATS_URL=nats://127.0.0.1:4222 node ask.mjs status|cancel|retry|stats ['{"job_id": "…"}']

import { errors } from "@nats-io/transport-node";
import { connectToNats } from "./nats.mjs";

const [question, body = "{}"] = process.argv.slice(2);
const connection = await connectToNats();

try {
  const reply = await connection.request(`hls.v1.api.${question}`, body, { timeout: 5000 });
  const code = reply.headers?.get("Nats-Service-Error-Code");
  if (code) {
    // 400 malformed, 404 unknown, 409 not possible in the present state of the job, 503 ask again
    // later.
    refuse(Number(code), reply.headers.get("Nats-Service-Error"));
  } else {
    console.log(reply.string());
  }
} catch (error) {
  if (!(error instanceof errors.RequestError && error.isNoResponders())) throw error;
  refuse(503, `No one answers hls.v1.api.${question}: start fluxhls with the role project, or ask what there is.`);
}
await connection.drain();

function refuse(code, error) {
  console.log(JSON.stringify({ code, error }));
  process.exitCode = 1;
}
