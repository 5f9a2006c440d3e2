// Uploads: one file after the other, each with a card that shows how far it is.

import { bytes, duration, percent } from "./format.js";

/** Sends files and shows their progress as cards in `list`. */
export class Uploads {
  #list;
  #template;
  #say;
  #onAccepted;
  #queue = [];
  #sending = null;

  constructor({ list, template, say, onAccepted }) {
    this.#list = list;
    this.#template = template;
    this.#say = say;
    this.#onAccepted = onAccepted;
    addEventListener("beforeunload", (event) => {
      if (this.#sending) event.preventDefault();
    });
  }

  /** Adds files to the end of the queue. */
  add(files) {
    for (const file of files) {
      const upload = { file, card: this.#addCard(file) };
      this.#enqueue(upload);
    }
  }

  #addCard(file) {
    const card = this.#template.content.firstElementChild.cloneNode(true);
    card.querySelector("h3").textContent = file.name;
    card.querySelector("h3").title = file.name;
    card.querySelector("progress").ariaLabel = `Upload of ${file.name}`;
    card.querySelector(".retry").ariaLabel = `Upload ${file.name} again`;
    card.querySelector(".cancel").ariaLabel = `Cancel the upload of ${file.name}`;
    this.#list.append(card);
    return card;
  }

  #enqueue(upload) {
    this.#show(upload, "waiting", bytes(upload.file.size), 0);
    upload.card.querySelector(".cancel").onclick = () => this.#remove(upload);
    this.#queue.push(upload);
    this.#sendNext();
  }

  #sendNext() {
    if (this.#sending || this.#queue.length === 0) return;
    const upload = this.#queue.shift();
    this.#sending = upload;
    this.#send(upload).finally(() => {
      this.#sending = null;
      this.#sendNext();
    });
  }

  async #send(upload) {
    try {
      const accepted = await this.#transfer(upload);
      upload.card.remove();
      this.#onAccepted(accepted);
    } catch (trouble) {
      if (trouble) this.#fail(upload, trouble);
    }
  }

  /** The transfer itself; `fetch` cannot report how much was sent. Rejects with null when canceled. */
  #transfer(upload) {
    const { file, card } = upload;
    return new Promise((resolve, reject) => {
      const request = new XMLHttpRequest();
      const begin = performance.now();
      request.open("POST", `/api/files?name=${encodeURIComponent(file.name)}`);
      request.responseType = "json";
      request.upload.onprogress = ({ loaded, total }) => {
        const rate = loaded / Math.max((performance.now() - begin) / 1000, 0.001);
        const rest = loaded < total ? `${duration((total - loaded) / rate)} left` : "storing";
        this.#show(upload, "uploading", [percent(loaded / total), `${bytes(rate)}/s`, rest].join(" · "), loaded / total);
      };
      request.onload = () => {
        if (request.status === 200) resolve(request.response);
        else reject(request.response?.message ?? `The server answered ${request.status}.`);
      };
      request.onerror = () => reject("The connection broke. Is the server running?");
      request.onabort = () => reject(null);
      card.querySelector(".cancel").onclick = () => {
        request.abort();
        this.#remove(upload);
      };
      this.#show(upload, "uploading", percent(0), 0);
      this.#say(`Uploading ${file.name}`);
      request.send(file);
    });
  }

  #remove(upload) {
    this.#queue = this.#queue.filter((other) => other !== upload);
    upload.card.remove();
  }

  #fail(upload, message) {
    this.#show(upload, "failed", "", 0);
    const { card } = upload;
    card.querySelector(".error").textContent = message;
    card.querySelector(".error").hidden = false;
    const retry = card.querySelector(".retry");
    retry.hidden = false;
    retry.onclick = () => {
      retry.hidden = true;
      card.querySelector(".error").hidden = true;
      this.#enqueue(upload);
    };
    card.querySelector(".cancel").onclick = () => this.#remove(upload);
    this.#say(`${upload.file.name}: ${message}`);
  }

  #show({ card }, state, numbers, share) {
    card.dataset.state = state;
    card.querySelector(".state").textContent = state;
    card.querySelector(".numbers").textContent = numbers;
    card.querySelector("progress").value = share;
    card.querySelector(".cancel").hidden = false;
    card.querySelector(".cancel").textContent = state === "failed" ? "Dismiss" : "Cancel";
  }
}
