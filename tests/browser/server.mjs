// A small HTTP server on the loopback interface: the page that plays, and local files to play.

import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { extname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";

const TYPES = {
  ".m3u8": "application/vnd.apple.mpegurl",
  ".mp4": "video/mp4",
  ".m4s": "video/mp4",
  ".js": "text/javascript",
  ".vtt": "text/vtt",
};
const page = (scripts) => `<!doctype html><title>player</title><video id="video" muted playsinline></video>${scripts}`;
const PAGE = page('<script src="/hls.js"></script><script type="module" src="/probe.js"></script>');
// What is muted cannot be heard by an analyser.
const VIEWER = page('<script src="/hls.js"></script><script src="/shaka.js"></script><script type="module" src="/viewer.js"></script>').replace(" muted", "");

const here = fileURLToPath(new URL(".", import.meta.url));
const { resolve } = createRequire(import.meta.url);
const SCRIPTS = {
  "/hls.js": resolve("hls.js/dist/hls.js"),
  "/shaka.js": resolve("shaka-player/dist/shaka-player.compiled.js"),
  "/probe.js": join(here, "probe.js"),
  "/viewer.js": join(here, "viewer.js"),
};

/** Serves `/` and, when a folder is given, its files under `/media/`; resolves to `{ origin, close }`. */
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
  if (path === "/") return { type: "text/html", body: PAGE };
  if (path === "/viewer") return { type: "text/html", body: VIEWER };
  if (path in SCRIPTS) return file(SCRIPTS[path]);
  if (folder && path.startsWith("/media/")) return file(join(folder, normalize(path.slice("/media".length))));
  throw new Error(`no such file: ${path}`);
}

async function file(path) {
  return { type: TYPES[extname(path)] ?? "application/octet-stream", body: await readFile(path) };
}
