// Everything an application does, with oauth4webapi, which takes each answer to the letter of the RFCs.
import { client, follow } from "./browser.mjs";
import assert from "node:assert/strict";
import * as oauth from "oauth4webapi";

const as = await oauth.processDiscoveryResponse(client.issuer, await oauth.discoveryRequest(client.issuer));
const me = { client_id: client.id };
const auth = client.secret ? oauth.ClientSecretPost(client.secret) : oauth.None();

const verifier = oauth.generateRandomCodeVerifier();
const [state, nonce] = [oauth.generateRandomState(), oauth.generateRandomNonce()];
async function authorize(more) {
  const url = new URL(as.authorization_endpoint);
  url.search = new URLSearchParams({
    client_id: client.id,
    response_type: "code",
    redirect_uri: client.redirect,
    scope: client.scope,
    state,
    code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
    code_challenge_method: "S256",
    ...more,
  });
  return oauth.validateAuthResponse(as, me, await follow(url), state);
}

const code = await authorize({ nonce });
const answer = await oauth.authorizationCodeGrantRequest(as, me, auth, code, client.redirect, verifier);
const tokens = await oauth.processAuthorizationCodeResponse(as, me, answer, { expectedNonce: nonce, requireIdToken: true });
await oauth.validateApplicationLevelSignature(as, answer);
const { sub } = oauth.getValidatedIdTokenClaims(tokens);

const info = await oauth.processUserInfoResponse(as, me, sub, await oauth.userInfoRequest(as, me, tokens.access_token));
assert.equal(info.email, `${process.env.NAME}@example.com`);

if (client.dialect === "oauth") {
  // RFC 9068, as a resource server reads it.
  const request = new Request(client.issuer, { headers: { authorization: `Bearer ${tokens.access_token}` } });
  const claims = await oauth.validateJwtAccessToken(as, request, client.id);
  assert.equal(claims.sub, sub);
}

const fresh = await oauth.processRefreshTokenResponse(as, me, await oauth.refreshTokenGrantRequest(as, me, auth, tokens.refresh_token));
assert.notEqual(fresh.access_token, tokens.access_token);

await oauth.processRevocationResponse(await oauth.revocationRequest(as, me, auth, fresh.refresh_token ?? tokens.refresh_token));
const spent = await oauth.refreshTokenGrantRequest(as, me, auth, fresh.refresh_token ?? tokens.refresh_token);
await assert.rejects(oauth.processRefreshTokenResponse(as, me, spent), { error: "invalid_grant" });

if (client.secret) {
  const machine = await oauth.clientCredentialsGrantRequest(as, me, auth, { scope: "orders:read" });
  assert.ok((await oauth.processClientCredentialsResponse(as, me, machine)).access_token);
}

const bye = new URL(as.end_session_endpoint);
bye.search = new URLSearchParams({ id_token_hint: tokens.id_token, post_logout_redirect_uri: client.farewell });
assert.equal((await follow(bye)).href, client.farewell);
await assert.rejects(authorize({ prompt: "none" }), { error: "login_required" });
