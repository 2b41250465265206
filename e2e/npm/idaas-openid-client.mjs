// What openid-client can do with the second documented API: all but its userinfo and its own sign-out,
// which are no OpenID Connect, and revocation, which it does not have.
import { client, follow } from "./browser.mjs";
import assert from "node:assert/strict";
import * as oidc from "openid-client";

const config = await oidc.discovery(client.issuer, client.id, undefined, oidc.ClientSecretBasic(client.secret));
const server = config.serverMetadata();
assert.equal(server.issuer, client.issuer.href);
assert.deepEqual([server.revocation_endpoint, server.introspection_endpoint], [undefined, undefined]);
assert.equal(server.end_session_endpoint, new URL("/logout", server.issuer).href);

const verifier = oidc.randomPKCECodeVerifier();
const [state, nonce] = [oidc.randomState(), oidc.randomNonce()];
const challenge = { code_challenge: await oidc.calculatePKCECodeChallenge(verifier), code_challenge_method: "S256" };
const url = oidc.buildAuthorizationUrl(config, { redirect_uri: client.redirect, scope: client.scope, state, nonce, ...challenge });
const back = await follow(url);
const checks = { pkceCodeVerifier: verifier, expectedState: state, expectedNonce: nonce, idTokenExpected: true };
const tokens = await oidc.authorizationCodeGrant(config, back, checks);
const { sub, iss } = tokens.claims();
assert.equal(iss, client.issuer.href);
assert.match(tokens.access_token, /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);

// Its userinfo names the person `id`: OpenID Connect Core §5.3.2 wants `sub`.
await assert.rejects(oidc.fetchUserInfo(config, tokens.access_token, sub), { code: "OAUTH_INVALID_RESPONSE" });
const userinfo = new URL(server.userinfo_endpoint);
const info = await (await oidc.fetchProtectedResource(config, tokens.access_token, userinfo, "GET")).json();
assert.equal(info.id, sub);
assert.equal(info.email, `${process.env.NAME}@example.com`);

// Opaque as it is, the token opens the gate in front of everything else.
const behind = await oidc.fetchProtectedResource(config, tokens.access_token, new URL("/", client.issuer), "GET");
assert.equal(await behind.text(), `hello ${sub}`);

const fresh = await oidc.refreshTokenGrant(config, tokens.refresh_token);
assert.notEqual(fresh.access_token, tokens.access_token);

// The code again ends what it earned.
await assert.rejects(oidc.authorizationCodeGrant(config, back, checks), { status: 400, error: "invalid_grant" });
const spent = await oidc.fetchProtectedResource(config, fresh.access_token, userinfo, "GET").catch((error) => error);
assert.equal(spent.status, 401);

const machine = await oidc.clientCredentialsGrant(config, { scope: "orders:read" });
assert.equal(machine.token_type, "bearer");

const bye = new URL("/api/v1/logout", client.issuer);
bye.searchParams.set("redirect_url", client.farewell);
assert.equal((await follow(bye)).href, client.farewell);
url.searchParams.set("prompt", "none");
assert.equal((await follow(url)).searchParams.get("error"), "login_required");
