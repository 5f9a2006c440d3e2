// A small HTTP server on the loopback interface: the page that plays, and local files to play.

import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { extname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";
import { PLAYERS } from "./players.mjs";

const TYPES = {
  ".m3u8": "application/vnd.apple.mpegurl",
  ".mp4": "video/mp4",
  ".m4s": "video/mp4",
  ".js": "text/javascript",
  ".vtt": "text/vtt",
};
const page = (body) => `<!doctype html><title>player</title>${body}`;
const PROBE = page('<video id="video" muted playsinline></video><script src="/player/hls.js"></script><script type="module" src="/probe.js"></script>');
const viewer = (player) => page(`<script src="/player/${player}"></script><script type="module" src="/viewer.js"></script>`);

const here = fileURLToPath(new URL(".", import.meta.url));
const SCRIPTS = ["/probe.js", "/viewer.js"];

/** Serves `/`, `/viewer/PLAYER` and, when a folder is given, its files under `/media/`; resolves to `{ origin, close }`. */
export async function serve(folder) {
  const server = createServer(async (request, response) => {
    try {
      const { type, body } = await answer(decodeURIComponent(new URL(request.url, "http://h").pathname), folder);
      response.writeHead(200, { "content-type": type }).end(body);
    } catch {
      response.writeHead(404).end();
    }
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const close = () => new Promise((resolve) => server.close(resolve) && server.closeAllConnections());
  return { origin: `http://127.0.0.1:${server.address().port}`, close };
}

async function answer(path, folder) {
  const player = path.split("/").at(-1);
  if (path === "/") return { type: "text/html", body: PROBE };
  if (path === `/viewer/${player}`) return { type: "text/html", body: viewer(player) };
  if (path === `/player/${player}`) return { ...(await file(join(here, "node_modules", PLAYERS[player].file))), type: "text/javascript" };
  if (SCRIPTS.includes(path)) return file(join(here, path));
  if (folder && path.startsWith("/media/")) return file(join(folder, normalize(path.slice("/media".length))));
  throw new Error(`no such file: ${path}`);
}

async function file(path) {
  return { type: TYPES[extname(path)] ?? "application/octet-stream", body: await readFile(path) };
}
