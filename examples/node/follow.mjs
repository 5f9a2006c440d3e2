// Follows one job to its end, as a page with a progress bar would. Exits with 3 if it did not complete.
//
// usage: NATS_URL=nats://127.0.0.1:4222 node follow.mjs JOB_ID

import { connectToNats } from "./nats.mjs";

const job = process.argv[2];
const connection = await connectToNats();

// Both are plain subscriptions: at most once, and only for who is there. A page that comes later asks hls.v1.api.status first.
const progress = connection.subscribe(`hls.v1.progress.${job}.*`);
const facts = connection.subscribe(`live.hls.v1.job.${job}.*`);
console.error("listening");

let furthest = 0;
(async () => {
  for await (const message of progress) {
    // Every task tells what it knows of the job: a lower bound, so the largest one counts.
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
