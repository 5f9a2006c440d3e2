// Connects the examples to NATS with the settings of fluxhls itself:
//
// NATS_URL                                             one or several servers, separated by commas
// NATS_CREDENTIALS | NATS_NKEY                         a credentials file, or a file with the seed of an nkey
// NATS_USER with NATS_PASSWORD or NATS_PASSWORD_FILE   a user
// NATS_TOKEN | NATS_TOKEN_FILE                         a token
// NATS_CA                                              the authorities that sign the servers' certificates
// NATS_JETSTREAM_DOMAIN | NATS_JETSTREAM_API_PREFIX    for a JetStream that is not on these servers
//
// Files are read at each connect, so a running process can reconnect with a renewed one.

import { readFileSync } from "node:fs";
import { connect, credsAuthenticator, nkeyAuthenticator, tokenAuthenticator, usernamePasswordAuthenticator } from "@nats-io/transport-node";

const env = process.env;

export function connectToNats() {
  return connect({
    servers: (env.NATS_URL ?? "nats://127.0.0.1:4222").split(","),
    authenticator: authenticator(),
    // Try forever: the next attempt may find a renewed file.
    maxReconnectAttempts: -1,
    ignoreAuthErrorAbort: true,
    ...(env.NATS_CA && { tls: { caFile: env.NATS_CA } }),
  });
}

/** Options for `jetstream(connection, …)` and `jetstreamManager(connection, …)`. */
export const jetstreamOptions = {
  ...(env.NATS_JETSTREAM_DOMAIN && { domain: env.NATS_JETSTREAM_DOMAIN }),
  ...(env.NATS_JETSTREAM_API_PREFIX && { apiPrefix: env.NATS_JETSTREAM_API_PREFIX }),
};

function authenticator() {
  if (env.NATS_CREDENTIALS) return credsAuthenticator(() => readFileSync(env.NATS_CREDENTIALS));
  if (env.NATS_NKEY) return nkeyAuthenticator(() => Buffer.from(readFileSync(env.NATS_NKEY, "utf8").trim()));
  if (env.NATS_USER) return usernamePasswordAuthenticator(env.NATS_USER, secret("NATS_PASSWORD"));
  if (env.NATS_TOKEN || env.NATS_TOKEN_FILE) return tokenAuthenticator(secret("NATS_TOKEN"));
  return undefined;
}

function secret(name) {
  const file = env[`${name}_FILE`];
  return () => (file ? readFileSync(file, "utf8").split("\n")[0] : env[name]);
}
