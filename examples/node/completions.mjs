// Receives every job that ends, once for all replicas of a service, and continues after a restart
// where it stopped.
//
// usage: NATS_URL=nats://127.0.0.1:4222 node completions.mjs [number of results, then exit]

import { AckPolicy, DeliverPolicy, jetstream, jetstreamManager } from "@nats-io/jetstream";
import { connectToNats, jetstreamOptions } from "./nats.mjs";

const wanted = Number(process.argv[2] ?? Infinity);
const connection = await connectToNats();

// A durable consumer for this program: the server keeps its position. Adding it again changes nothing.
const manager = await jetstreamManager(connection, jetstreamOptions);
await manager.consumers.add("HLS_JOBS", {
  durable_name: "api",
  filter_subject: "hls.v1.job.*.ended",
  ack_policy: AckPolicy.Explicit,
  // A new service starts from now on. `All` would deliver the last ninety days first.
  deliver_policy: DeliverPolicy.New,
});

const consumer = await jetstream(connection, jetstreamOptions).consumers.get("HLS_JOBS", "api");
const messages = await consumer.consume({ max_messages: 16 });
for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => messages.stop());
console.error("listening");

let heard = 0;
for await (const message of messages) {
  const ended = message.json();
  await handle(ended);
  // Acknowledge last, and wait for the confirmation. After a crash the message is delivered again,
  // so `handle` must be idempotent.
  await message.ackAck();
  if (++heard >= wanted) break;
}
await connection.drain();

async function handle(ended) {
  // Here a service would write to its database, keyed by job_id, and notify its users.
  console.log(JSON.stringify(ended));
}
