package tokenissuer

import (
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"time"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/message"
)

// newSender makes what posts logout notices to addresses whose certificates the
// authorities vouch for; nil are the system's.
func newSender(authorities *x509.CertPool) *http.Client {
	return &http.Client{
		Transport: &http.Transport{
			Proxy: http.ProxyFromEnvironment, TLSClientConfig: &tls.Config{RootCAs: authorities, MinVersion: tls.VersionTLS12}, ForceAttemptHTTP2: true,
			MaxIdleConnsPerHost: 1, IdleConnTimeout: time.Minute, MaxResponseHeaderBytes: 64 << 10,
		},
		Timeout: deliverIn,
		// A registered address that sends elsewhere is not the registered one.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// senders are those of the clients that name authorities of their own.
type senders map[string]*http.Client

func newSenders(clients []Client) (senders, error) {
	all := senders{}
	for _, c := range clients {
		if c.BackchannelLogoutCAFile == "" {
			continue
		}
		authorities, err := message.Authorities(c.BackchannelLogoutCAFile)
		if err != nil {
			return nil, &ConfigError{Client: c.ID, Option: "backchannel_logout_ca_file", Mend: err.Error()}
		}
		all[c.ID] = newSender(authorities)
	}
	return all, nil
}

// Deliver makes this configuration say who vouches for the clients that are told of
// sign-outs. The first issuer of a state does so from the beginning; another, when it
// serves: a configuration that fails to start must leave nothing behind.
func (i *Issuer) Deliver() { i.state.senders.Store(&i.senders) }

// senderTo chooses by what the newest configuration says: a notice may be older,
// and the reason why the file is there.
func (s *State) senderTo(client string, usual *http.Client) *http.Client {
	if own := s.senders.Load(); own != nil && (*own)[client] != nil {
		return (*own)[client]
	}
	return usual
}
