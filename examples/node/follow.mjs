// Follows one job until it ends, as a page with a progress bar would. Exits with 3 if the job did
// not complete.
//
// usage: NATS_URL=nats://127.0.0.1:4222 node follow.mjs JOB_ID

import { connectToNats } from "./nats.mjs";

const job = process.argv[2];
const connection = await connectToNats();

// Both are core NATS subscriptions: delivery is at most once, and only while connected. A page that
// opens later asks hls.v1.api.status first.
const progress = connection.subscribe(`hls.v1.progress.${job}.*`);
const facts = connection.subscribe(`live.hls.v1.job.${job}.*`);
console.error("listening");

let furthest = 0;
(async () => {
  for await (const message of progress) {
    // Every task reports what it knows of the job's progress, which is a lower bound: the largest
    // value counts.
    const { job_progress } = message.json();
    if (job_progress <= furthest) continue;
    furthest = job_progress;
    console.log(JSON.stringify({ job_id: job, progress: furthest }));
  }
})();

let ended;
for await (const message of facts) {
  const fact = message.subject.split(".").at(-1);
  console.log(JSON.stringify({ fact, ...message.json() }));
  if (fact === "ended") {
    ended = message.json();
    break;
  }
}
await connection.drain();
process.exitCode = ended.outcome === "completed" ? 0 : 3;
