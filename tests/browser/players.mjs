// The players that watch, by the names `--player` takes: the file that brings each, and the words in which viewer.js speaks to it.

export const PLAYERS = {
  "hls.js": { file: "hls.js/dist/hls.js", kind: "hls.js" },
  "hls.js-1.6": { file: "hls.js-1.6/dist/hls.js", kind: "hls.js" },
  "hls.js-1.4": { file: "hls.js-1.4/dist/hls.js", kind: "hls.js" },
  shaka: { file: "shaka-player/dist/shaka-player.compiled.js", kind: "shaka" },
  "shaka-4.16": { file: "shaka-player-4.16/dist/shaka-player.compiled.js", kind: "shaka" },
  "video.js": { file: "video.js/dist/video.js", kind: "video.js" },
};

/** The players of a comma-separated list, or all. Throws where one is unknown. */
export function choosePlayers(list) {
  const names = list?.split(",") ?? Object.keys(PLAYERS);
  const unknown = names.find((name) => !(name in PLAYERS));
  if (unknown) throw new Error(`no player ${unknown}, but ${Object.keys(PLAYERS).join(", ")}`);
  return names;
}

/**
 * Has every player do something at once, each in its own window: only a page that is in front is drawn. Resolves to what
 * `viewer[what](kind, …)` measured, in the order of `names`, each with its `player`.
 */
export function withPlayers(browser, origin, names, what, args) {
  const use = async (name) => {
    const context = await browser.createBrowserContext();
    const page = await context.newPage();
    await page.goto(`${origin}/viewer/${name}`);
    await page.waitForFunction("globalThis.viewer");
    const measured = await page.evaluate((what, args) => viewer[what](...args), what, [PLAYERS[name].kind, ...args]);
    await context.close();
    return { player: name, ...measured };
  };
  return Promise.all(names.map(use));
}
