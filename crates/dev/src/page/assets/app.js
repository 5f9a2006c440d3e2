// Wires the parts of the page together.

import { announcer } from "./announcer.js";
import { follow } from "./feed.js";
import { JobList } from "./job_list.js";
import { Player } from "./player.js";
import { Uploads } from "./uploads.js";

const $ = (id) => document.getElementById(id);
const say = announcer($("announcements"));

/** The job on the screen, and the jobs of this page's uploads that wait to be shown. */
let showing = null;
const awaited = new Set();
// A link may name a job behind its #: that one is shown as soon as it plays.
if (location.hash.length > 1) awaited.add(location.hash.slice(1));

const player = new Player({
  video: $("video"),
  quality: $("quality"),
  onFault: (text) => {
    $("fault").textContent = text ?? "";
    $("fault").hidden = !text;
  },
  onQualities: (several) => {
    $("quality-label").hidden = !several;
  },
});

const jobs = new JobList({ list: $("jobs"), template: $("card"), say, onPlay: (job) => play(job) });

const uploads = new Uploads({
  list: $("uploads"),
  template: $("card"),
  say,
  onAccepted: ({ job_id }) => {
    awaited.add(job_id);
    consider([jobs.job(job_id)].filter(Boolean));
    showOrHideNothing();
  },
});

function play(job) {
  showing = job.job_id;
  awaited.delete(job.job_id);
  $("screen").dataset.showing = "video";
  $("video").hidden = false;
  $("title").textContent = job.name;
  $("copy").hidden = false;
  document.title = `${job.name} · fluxhls`;
  jobs.mark(job.job_id);
  player.load(job.manifest_url, { poster: job.thumbnail_url });
}

/** Reacts to jobs that changed: starts what was waited for, follows what is on the screen. */
function consider(changed) {
  for (const job of changed) {
    if (awaited.has(job.job_id) && job.manifest_url && !player.busy) play(job);
    else if (job.job_id === showing && job.manifest_url && job.manifest_url !== player.url) {
      player.replace(job.manifest_url, job.thumbnail_url);
    }
  }
}

function showOrHideNothing() {
  $("nothing").hidden = $("jobs").childElementCount + $("uploads").childElementCount > 0;
}

function addFiles(files) {
  uploads.add(files);
  showOrHideNothing();
}

follow({
  onSnapshot: (all) => {
    jobs.replace(all);
    jobs.mark(showing);
    consider(all);
    showOrHideNothing();
  },
  onUpdates: (changed) => {
    jobs.update(changed);
    consider(changed);
    showOrHideNothing();
  },
  onConnection: (connected) => {
    const line = $("connection");
    if (line.dataset.state === (connected ? "connected" : "lost")) return;
    line.dataset.state = connected ? "connected" : "lost";
    line.textContent = connected ? "Connected" : "Server gone, trying again";
  },
});

$("file").addEventListener("change", (event) => {
  addFiles([...event.target.files]);
  event.target.value = "";
});

$("copy").addEventListener("click", async () => {
  await navigator.clipboard.writeText(player.url);
  $("copy").textContent = "Copied";
  say("The manifest's address is copied.");
  setTimeout(() => ($("copy").textContent = "Copy link"), 1500);
});

// A drag over a child leaves its parent, so the depth is counted.
let depth = 0;
const carriesFiles = (event) => event.dataTransfer?.types.includes("Files");
addEventListener("dragenter", (event) => {
  if (!carriesFiles(event)) return;
  depth += 1;
  $("veil").hidden = false;
});
addEventListener("dragleave", (event) => {
  if (!carriesFiles(event)) return;
  depth = Math.max(0, depth - 1);
  $("veil").hidden = depth === 0;
});
addEventListener("dragover", (event) => {
  if (carriesFiles(event)) event.preventDefault();
});
addEventListener("drop", (event) => {
  if (!carriesFiles(event)) return;
  event.preventDefault();
  depth = 0;
  $("veil").hidden = true;
  addFiles([...event.dataTransfer.files]);
});
