// A fresh headless browser: Chromium, or Firefox.

import puppeteer from "puppeteer-core";

const BROWSERS = {
  chromium: {
    browser: "chrome",
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      // There is no user to click before playback, and pages in the background also continue to play.
      "--autoplay-policy=no-user-gesture-required",
      "--disable-background-timer-throttling",
      "--disable-backgrounding-occluded-windows",
      "--disable-renderer-backgrounding",
    ],
  },
  firefox: {
    browser: "firefox",
    executablePath: process.env.FIREFOX ?? "/usr/bin/firefox-esr",
    extraPrefsFirefox: { "media.autoplay.default": 0, "media.autoplay.blocking_policy": 0 },
  },
};

/**
 * Calls `visit(browser)` with a browser that has never been used, closes it whatever happens, and returns what `visit` returned. `name`
 * is `chromium` ($CHROMIUM or /usr/bin/chromium) or `firefox` ($FIREFOX or /usr/bin/firefox-esr).
 */
export async function withBrowser(visit, name = "chromium", viewport = null) {
  // The scripts have their own time limits for pages.
  const browser = await puppeteer.launch({ ...BROWSERS[name], headless: true, defaultViewport: viewport, protocolTimeout: 0 });
  try {
    return await visit(browser);
  } finally {
    await browser.close();
  }
}

/** The same with one empty page of it, as `visit(page, version)`. */
export function withPage(visit, viewport = null) {
  return withBrowser(async (browser) => visit(await browser.newPage(), await browser.version()), "chromium", viewport);
}
