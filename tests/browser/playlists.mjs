// What a manifest says, read without a player.

import { Parser } from "m3u8-parser";

const AUDIO_CODECS = /^(mp4a|ac-3|ec-3|opus|fLaC|alac)/i;

/**
 * Reads a multivariant playlist and every media playlist below it. Returns its renditions, each once:
 * `{ uri, kind: "video" | "audio", mime, duration, ended, discontinuous, map, segments: [{ uri, duration }] }`, where
 * `map` and the segments may carry a `byterange` (`{ offset, length }`) and all addresses are absolute.
 */
export async function readRenditions(manifestUrl) {
  const manifest = await load(manifestUrl);
  if (!manifest.playlists?.length) throw new Error(`${manifestUrl} is no multivariant playlist`);
  const found = new Map();
  for (const { uri, kind, codecs } of listed(manifest)) {
    const address = new URL(uri, manifestUrl).href;
    if (!found.has(address)) found.set(address, await readRendition(address, kind, codecs));
  }
  return [...found.values()];
}

/** Every rendition a manifest names, with the codecs it needs. */
function listed(manifest) {
  return manifest.playlists.flatMap(({ uri, attributes }) => {
    const codecs = (attributes.CODECS ?? "").split(",").map((codec) => codec.trim()).filter(Boolean);
    const sound = codecs.filter((codec) => AUDIO_CODECS.test(codec));
    const picture = codecs.filter((codec) => !AUDIO_CODECS.test(codec));
    const group = Object.values(manifest.mediaGroups?.AUDIO?.[attributes.AUDIO] ?? {}).filter((track) => track.uri);
    const apart = group.map((track) => ({ uri: track.uri, kind: "audio", codecs: sound }));
    const own = picture.length === 0 ? { kind: "audio", codecs: sound } : { kind: "video", codecs: apart.length > 0 ? picture : codecs };
    return [{ uri, ...own }, ...apart];
  });
}

async function readRendition(uri, kind, codecs) {
  const playlist = await load(uri);
  const resolve = ({ uri: relative, byterange }) => ({ uri: new URL(relative, uri).href, byterange });
  const segments = playlist.segments.map((segment) => ({ ...resolve(segment), duration: segment.duration }));
  const maps = new Set(playlist.segments.map((segment) => segment.map?.uri));
  if (maps.size !== 1 || maps.has(undefined)) throw new Error(`${uri} needs exactly one EXT-X-MAP and has ${maps.size}`);
  return {
    uri,
    kind,
    mime: `${kind}/mp4; codecs="${codecs.join(",")}"`,
    duration: segments.reduce((sum, segment) => sum + segment.duration, 0),
    ended: playlist.endList === true,
    discontinuous: playlist.discontinuityStarts.length > 0,
    map: resolve(playlist.segments[0].map),
    segments,
  };
}

async function load(url) {
  const response = await fetch(url);
  if (!response.ok) throw new Error(`${url} answered ${response.status}`);
  const parser = new Parser();
  parser.push(await response.text());
  parser.end();
  return parser.manifest;
}
