// Tells fluxhls of an uploaded file.
//
// usage: NATS_URL=nats://127.0.0.1:4222 node publish.mjs '{"file_id": "…", "name": "holiday.mp4", "file_url": "s3://bucket/key"}'

import { jetstream } from "@nats-io/jetstream";
import { connectToNats, jetstreamOptions } from "./nats.mjs";

const event = JSON.parse(process.argv[2]);
const connection = await connectToNats();

// The promise is kept once the server has stored the event. Under one msgID it is stored once, however often this is tried again;
// later than an hour, the job's own id (or the event's content, without one) still tells it from another.
const stored = await jetstream(connection, jetstreamOptions).publish("hls.v1.upload", JSON.stringify(event), {
  msgID: event.job_id ?? event.file_id,
});
console.log(JSON.stringify({ stream: stored.stream, seq: stored.seq, duplicate: stored.duplicate }));
await connection.drain();
