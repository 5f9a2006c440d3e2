// A fresh headless Chromium.

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium } from "playwright-core";

const FLAGS = [
  "--headless",
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  // Nobody is there to click before it plays.
  "--autoplay-policy=no-user-gesture-required",
];

/**
 * Calls `visit(page, version)` with an empty page of a browser that has never been used, closes the browser
 * whatever happens, and returns what `visit` returned. The browser is $CHROMIUM or /usr/bin/chromium.
 */
export async function withPage(visit, options = {}) {
  const profile = await mkdtemp(join(tmpdir(), "fluxhls-browser-"));
  const executablePath = process.env.CHROMIUM ?? "/usr/bin/chromium";
  try {
    const context = await chromium.launchPersistentContext(profile, { executablePath, args: FLAGS, ...options });
    try {
      return await visit(context.pages()[0] ?? (await context.newPage()), context.browser()?.version() ?? "unknown");
    } finally {
      await context.close();
    }
  } finally {
    await rm(profile, { recursive: true, force: true, maxRetries: 5 });
  }
}
