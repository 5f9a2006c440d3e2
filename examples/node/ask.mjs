// Asks fluxhls by request and reply: no database access needed.
//
// usage: NATS_URL=nats://127.0.0.1:4222 node ask.mjs status|cancel|retry|stats ['{"job_id": "…"}']

import { connect, errors } from "@nats-io/transport-node";

const [question, body = "{}"] = process.argv.slice(2);
const connection = await connect({ servers: process.env.NATS_URL ?? "nats://127.0.0.1:4222" });

try {
  const reply = await connection.request(`hls.v1.api.${question}`, body, { timeout: 5000 });
  const code = reply.headers?.get("Nats-Service-Error-Code");
  if (code) {
    // 400 malformed, 404 unknown, 409 not as the job is now, 503 ask again later.
    refuse(Number(code), reply.headers.get("Nats-Service-Error"));
  } else {
    console.log(reply.string());
  }
} catch (error) {
  // Nobody listens there: no process with the role `project` runs, or there is no such question.
  if (!(error instanceof errors.RequestError && error.isNoResponders())) throw error;
  refuse(503, `Nobody answers hls.v1.api.${question}.`);
}
await connection.drain();

function refuse(code, error) {
  console.log(JSON.stringify({ code, error }));
  process.exitCode = 1;
}
