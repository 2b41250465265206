// The second documented API to the letter of the RFCs, as oauth4webapi takes them.
import { client, follow } from "./browser.mjs";
import assert from "node:assert/strict";
import * as oauth from "oauth4webapi";

const as = await oauth.processDiscoveryResponse(client.issuer, await oauth.discoveryRequest(client.issuer));
const me = { client_id: client.id };
const auth = oauth.ClientSecretBasic(client.secret);

const verifier = oauth.generateRandomCodeVerifier();
const [state, nonce] = [oauth.generateRandomState(), oauth.generateRandomNonce()];
const url = new URL(as.authorization_endpoint);
url.search = new URLSearchParams({
  client_id: client.id,
  response_type: "code",
  redirect_uri: client.redirect,
  scope: client.scope,
  state,
  nonce,
  code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
  code_challenge_method: "S256",
});
const code = oauth.validateAuthResponse(as, me, await follow(url), state);
const answer = await oauth.authorizationCodeGrantRequest(as, me, auth, code, client.redirect, verifier);
const tokens = await oauth.processAuthorizationCodeResponse(as, me, answer, { expectedNonce: nonce, requireIdToken: true });
await oauth.validateApplicationLevelSignature(as, answer);
const { sub } = oauth.getValidatedIdTokenClaims(tokens);

const info = await oauth.userInfoRequest(as, me, tokens.access_token);
assert.equal((await info.clone().json()).id, sub);
await assert.rejects(oauth.processUserInfoResponse(as, me, sub, info), /"sub"/);

const fresh = await oauth.processRefreshTokenResponse(as, me, await oauth.refreshTokenGrantRequest(as, me, auth, tokens.refresh_token));
assert.notEqual(fresh.access_token, tokens.access_token);

const machine = await oauth.clientCredentialsGrantRequest(as, me, auth, { scope: "orders:read" });
assert.ok((await oauth.processClientCredentialsResponse(as, me, machine)).access_token);
