// Hears of every job that ends, once for all replicas of a service, and after a restart goes on where it stopped.
//
// usage: NATS_URL=nats://127.0.0.1:4222 node completions.mjs [how many, then leave]

import { AckPolicy, DeliverPolicy, jetstream, jetstreamManager } from "@nats-io/jetstream";
import { connectToNats, jetstreamOptions } from "./nats.mjs";

const wanted = Number(process.argv[2] ?? Infinity);
const connection = await connectToNats();

// A durable consumer of our own: the server keeps our place. Adding it again changes nothing.
const manager = await jetstreamManager(connection, jetstreamOptions);
await manager.consumers.add("HLS_JOBS", {
  durable_name: "api",
  filter_subject: "hls.v1.job.*.ended",
  ack_policy: AckPolicy.Explicit,
  // For a service that is new to it: from now on. `All` would tell of the last ninety days first.
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
  // Acknowledged last, and confirmed: what we die over comes again, so `handle` must bear to see a job twice.
  await message.ackAck();
  if (++heard >= wanted) break;
}
await connection.drain();

async function handle(ended) {
  // Here a service would write to its database, keyed by job_id, and tell its users.
  console.log(JSON.stringify(ended));
}
