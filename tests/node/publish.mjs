// Publishes an upload event as an Express API would, hears how its job ends, and prints both as one line of JSON.
//
// usage: NATS_URL=nats://… node publish.mjs '<event as JSON>'

import { jetstream } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";

const event = JSON.parse(process.argv[2]);
const connection = await connect({ servers: process.env.NATS_URL });
const js = jetstream(connection);

// Listening first: the live copy of a fact is heard by who is there.
const live = connection.subscribe("live.hls.v1.job.*.ended");
const heard = (async () => {
  for await (const message of live) {
    const ended = message.json();
    if (ended.file_id === event.file_id) return ended;
  }
})();
await connection.flush();

const body = JSON.stringify(event);
const first = await js.publish("hls.v1.upload", body, { msgID: event.file_id });
const again = await js.publish("hls.v1.upload", body, { msgID: event.file_id });
const ended = await heard;
console.log(JSON.stringify({ stream: first.stream, first, again, ended }));
await connection.drain();
