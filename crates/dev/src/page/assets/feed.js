// The feed: follows the server's updates, and comes back when the server does.

const COME_BACK_AFTER_MS = 1000;

/**
 * Calls `onSnapshot(jobs)` after every connection, `onUpdates(jobs)` for what changed since, and
 * `onConnection(connected)` when the line breaks or is back.
 */
export function follow({ onSnapshot, onUpdates, onConnection }) {
  const source = new EventSource("/api/updates");
  source.addEventListener("open", () => onConnection(true));
  source.addEventListener("snapshot", (event) => onSnapshot(JSON.parse(event.data)));
  source.addEventListener("updates", (event) => onUpdates(JSON.parse(event.data)));
  source.addEventListener("error", () => {
    onConnection(false);
    // The browser retries on its own, except after an answer that was not an event stream.
    if (source.readyState === EventSource.CLOSED) {
      setTimeout(() => follow({ onSnapshot, onUpdates, onConnection }), COME_BACK_AFTER_MS);
    }
  });
}
