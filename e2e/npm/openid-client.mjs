// Everything an application does, with openid-client.
import { client, follow } from "./browser.mjs";
import assert from "node:assert/strict";
import * as oidc from "openid-client";

const auth = client.secret ? oidc.ClientSecretBasic(client.secret) : oidc.None();
const config = await oidc.discovery(client.issuer, client.id, undefined, auth);

// Code with PKCE.
const verifier = oidc.randomPKCECodeVerifier();
const [state, nonce] = [oidc.randomState(), oidc.randomNonce()];
const back = await follow(
  oidc.buildAuthorizationUrl(config, {
    redirect_uri: client.redirect,
    scope: client.scope,
    state,
    nonce,
    code_challenge: await oidc.calculatePKCECodeChallenge(verifier),
    code_challenge_method: "S256",
  }),
);
const checks = { pkceCodeVerifier: verifier, expectedState: state, expectedNonce: nonce, idTokenExpected: true };
const tokens = await oidc.authorizationCodeGrant(config, back, checks);
const { sub } = tokens.claims();
assert.ok(sub);

const info = await oidc.fetchUserInfo(config, tokens.access_token, sub);
assert.equal(info.email, `${process.env.NAME}@example.com`);

const fresh = await oidc.refreshTokenGrant(config, tokens.refresh_token);
assert.notEqual(fresh.access_token, tokens.access_token);
assert.equal(fresh.claims()?.sub ?? sub, sub);

// The code was for one token; showing it again ends what it earned.
await assert.rejects(oidc.authorizationCodeGrant(config, back, checks), { status: client.secret || client.dialect === "oauth" ? 400 : 401 });
await assert.rejects(oidc.fetchUserInfo(config, fresh.access_token, sub));

// A second sign-in without a page, then revocation.
const silent = { redirect_uri: client.redirect, scope: client.scope, state, prompt: "none", code_challenge: await oidc.calculatePKCECodeChallenge(verifier), code_challenge_method: "S256" };
const again = await oidc.authorizationCodeGrant(config, await follow(oidc.buildAuthorizationUrl(config, silent)), { pkceCodeVerifier: verifier, expectedState: state });
await oidc.tokenRevocation(config, again.refresh_token ?? again.access_token);
await assert.rejects(oidc.refreshTokenGrant(config, again.refresh_token), { error: "invalid_grant" });

if (client.secret) {
  const machine = await oidc.clientCredentialsGrant(config, { scope: "orders:read" });
  assert.equal(machine.token_type, "bearer");
  assert.ok(machine.access_token);
}

// Sign-out comes back to the app, and the session is gone.
const bye = await follow(oidc.buildEndSessionUrl(config, { post_logout_redirect_uri: client.farewell, id_token_hint: tokens.id_token, state }));
assert.equal(bye.href, `${client.farewell}?state=${state}`);
const alone = await follow(oidc.buildAuthorizationUrl(config, silent));
assert.equal(alone.searchParams.get("error"), "login_required");
