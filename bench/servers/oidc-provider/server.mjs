// node-oidc-provider as a token endpoint: client_credentials with signed access
// tokens (it makes those for resource servers only), everything in memory.
import { generateKeyPairSync } from 'node:crypto';
import { Provider } from 'oidc-provider';

const { PORT, ALGORITHM: alg, BENCH_SECRET } = process.env;
const made = alg === 'RS256' ? generateKeyPairSync('rsa', { modulusLength: 2048 }) : generateKeyPairSync('ec', { namedCurve: 'P-256' });
const api = 'urn:bench:api';

const provider = new Provider(`http://127.0.0.1:${PORT}`, {
  jwks: { keys: [{ ...made.privateKey.export({ format: 'jwk' }), kid: 'one', alg, use: 'sig' }] },
  clientDefaults: { id_token_signed_response_alg: alg },
  clients: [{
    client_id: 'bench',
    client_secret: BENCH_SECRET,
    token_endpoint_auth_method: 'client_secret_post',
    grant_types: ['client_credentials'],
    response_types: [],
    redirect_uris: [],
  }],
  scopes: ['openid', 'api:read'],
  features: {
    devInteractions: { enabled: false },
    clientCredentials: { enabled: true },
    resourceIndicators: {
      enabled: true,
      defaultResource: () => api,
      getResourceServerInfo: () => ({ scope: 'api:read', audience: api, accessTokenTTL: 300, accessTokenFormat: 'jwt', jwt: { sign: { alg } } }),
    },
  },
  ttl: { ClientCredentials: 300 },
});
provider.listen(Number(PORT), '127.0.0.1');
