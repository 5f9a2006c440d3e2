// Publishes an upload event.
//
// usage: NATS_URL=nats://127.0.0.1:4222 node publish.mjs '{"file_id": "…", "name": "holiday.mp4", "file_url": "s3://bucket/key"}'

import { createHash, randomUUID } from "node:crypto";

import { jetstream } from "@nats-io/jetstream";
import { connectToNats, jetstreamOptions } from "./nats.mjs";

const event = JSON.parse(process.argv[2]);
const body = JSON.stringify(event);
const connection = await connectToNats();

// The id is of this event, never of its file: the server acknowledges and drops what is published
// under an id of the last hour, but a file may be uploaded again with other content, or after it
// was deleted. With a job_id the same bytes are the same event. Without one each event has a fresh
// id; keep it while you repeat a publish that was not acknowledged.
const msgID = event.job_id ? createHash("sha256").update(body).digest("hex") : randomUUID();

// The promise resolves once the server has stored the event.
const stored = await jetstream(connection, jetstreamOptions).publish("hls.v1.upload", body, { msgID });
console.log(JSON.stringify({ stream: stored.stream, seq: stored.seq, duplicate: stored.duplicate }));
await connection.drain();
