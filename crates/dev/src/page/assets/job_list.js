// The list of jobs, newest first, one card each.

import { duration, percent, speed, words } from "./format.js";

const LABELS = {
  queued: "queued",
  planning: "planning",
  encoding: "encoding",
  checking: "checking",
  completed: "ready",
  failed: "failed",
  canceled: "canceled",
};
const ENDED = new Set(["completed", "failed", "canceled"]);

/** Shows jobs in `list`; reports through callbacks which one to play. */
export class JobList {
  #list;
  #template;
  #say;
  #onPlay;
  #cards = new Map();

  constructor({ list, template, say, onPlay }) {
    this.#list = list;
    this.#template = template;
    this.#say = say;
    this.#onPlay = onPlay;
  }

  /** Shows exactly these jobs. */
  replace(jobs) {
    const known = new Set(jobs.map((job) => job.job_id));
    for (const [id, { card }] of this.#cards) {
      if (known.has(id)) continue;
      card.remove();
      this.#cards.delete(id);
    }
    this.update(jobs);
  }

  /** Shows the newer state of these jobs and adds the ones not seen before. */
  update(jobs) {
    for (const job of jobs) {
      const known = this.#cards.get(job.job_id);
      if (known && known.job.state !== job.state) this.#say(sentence(job));
      const entry = known ?? this.#add(job);
      entry.job = job;
      this.#show(entry);
    }
  }

  /** The newest state of a job, if it is listed. */
  job(id) {
    return this.#cards.get(id)?.job;
  }

  /** Marks the job that the player shows. */
  mark(id) {
    for (const [other, { card }] of this.#cards) {
      if (other === id) card.setAttribute("aria-current", "true");
      else card.removeAttribute("aria-current");
    }
  }

  #add(job) {
    const card = this.#template.content.firstElementChild.cloneNode(true);
    const entry = { card, job, canceling: false };
    card.dataset.created = Date.parse(job.created_at);
    const older = [...this.#list.children].find((other) => Number(other.dataset.created) <= Number(card.dataset.created));
    this.#list.insertBefore(card, older ?? null);
    this.#cards.set(job.job_id, entry);
    card.querySelector(".play").onclick = () => this.#onPlay(entry.job);
    card.querySelector(".cancel").onclick = () => this.#cancel(entry);
    return entry;
  }

  #show(entry) {
    const { card, job } = entry;
    const part = (name) => card.querySelector(name);
    const running = !ENDED.has(job.state);
    card.dataset.state = job.state;
    part("h3").textContent = job.name;
    part("h3").title = job.name;
    part(".state").textContent = entry.canceling && running ? "canceling" : LABELS[job.state] ?? job.state;
    part("progress").hidden = !running;
    part("progress").ariaLabel = `Progress of ${job.name}`;
    if (job.state === "queued") part("progress").removeAttribute("value");
    else part("progress").value = job.progress;
    part(".numbers").textContent = numbers(job);
    showText(part(".error"), job.error && `${job.error.message} (${job.error.code})`);
    showText(part(".warnings"), job.warnings.length > 0 && `Note: ${job.warnings.map(words).join(", ")}`);
    this.#showThumbnail(part(".thumbnail img"), job.thumbnail_url);
    part(".play").hidden = !job.manifest_url;
    part(".play").textContent = running ? "Play so far" : "Play";
    part(".play").ariaLabel = `${part(".play").textContent}: ${job.name}`;
    part(".cancel").hidden = !running;
    part(".cancel").disabled = entry.canceling;
    part(".cancel").ariaLabel = `Cancel ${job.name}`;
  }

  #showThumbnail(image, url) {
    image.hidden = !url;
    if (url && image.getAttribute("src") !== url) image.src = url;
  }

  async #cancel(entry) {
    entry.canceling = true;
    this.#show(entry);
    const path = `/api/jobs/${encodeURIComponent(entry.job.job_id)}/cancel`;
    const answer = await fetch(path, { method: "POST" }).catch(() => null);
    if (answer?.ok) return;
    entry.canceling = false;
    this.#show(entry);
    const reason = answer?.status === 409 ? "its outcome is already decided" : "the server did not take the request";
    this.#say(`${entry.job.name} cannot be canceled: ${reason}.`);
  }
}

function numbers(job) {
  if (job.state === "queued") return "waiting for a worker";
  if (job.state === "planning") return "looking at the source";
  if (job.state === "checking") return "reading the result back";
  if (ENDED.has(job.state)) return new Date(job.created_at).toLocaleString();
  const parts = [percent(job.progress)];
  if (job.speed) parts.push(speed(job.speed));
  if (job.eta_seconds !== null) parts.push(`${duration(job.eta_seconds)} left`);
  return parts.join(" · ");
}

function sentence(job) {
  const detail = job.error ? `: ${job.error.message}` : "";
  return `${job.name}: ${LABELS[job.state] ?? job.state}${detail}`;
}

function showText(element, text) {
  element.hidden = !text;
  element.textContent = text || "";
}
