// A browser's part of a sign-in: cookies, redirects and the forms of the pages.
// What a client needs to know comes from the environment.
import { webcrypto } from "node:crypto";
import assert from "node:assert/strict";

globalThis.crypto ??= webcrypto; // Node 18

const { ISSUER, APP, CLIENT_ID, CLIENT_SECRET, NAME, PASSWORD, DIALECT, SCOPE } = process.env;
export const client = {
  issuer: new URL(ISSUER),
  id: CLIENT_ID,
  secret: CLIENT_SECRET, // "" for a client without one
  redirect: `${APP}/callback`,
  farewell: `${APP}/bye`,
  scope: SCOPE,
  dialect: DIALECT,
};

const cookies = new Map();

async function send(url, body) {
  const answer = await fetch(url, {
    method: body ? "POST" : "GET",
    body,
    redirect: "manual",
    headers: { cookie: [...cookies].map(([name, value]) => `${name}=${value}`).join("; ") },
  });
  for (const line of answer.headers.getSetCookie()) {
    const [, name, value] = /^([^=]+)=([^;]*)/.exec(line);
    cookies.set(name, value);
  }
  return answer;
}

const decoded = (text) => text.replaceAll("&#43;", "+").replaceAll("&#39;", "'").replaceAll("&#34;", '"').replaceAll("&amp;", "&");

// follow opens an address and signs in where a page asks for that, until the
// browser is sent to the app.
export async function follow(url) {
  let answer = await send(url);
  for (let steps = 0; steps < 10; steps++) {
    const text = await answer.text();
    const next = answer.headers.get("location") ?? decoded(/http-equiv="refresh" content="0; url=([^"]+)"/.exec(text)?.[1] ?? "");
    if (next) {
      const to = new URL(next, url);
      if (to.href.startsWith(APP)) return to;
      answer = await send(to);
      continue;
    }
    const action = /<form method="post" action="([^"]+)"/.exec(text)?.[1];
    assert.ok(action, `neither a form nor a redirect: ${answer.status} ${text}`);
    const form = new URLSearchParams({ username: NAME, password: PASSWORD });
    for (const [, name, value] of text.matchAll(/<input type="hidden" name="([^"]+)" value="([^"]*)"/g)) form.set(name, decoded(value));
    answer = await send(new URL(decoded(action), client.issuer), form);
  }
  throw new Error("redirected without end");
}
