package postgrestest

import (
	"context"
	"math/rand/v2"
	"net"
	"strconv"
)

// freePort returns a port nobody listens on now. It lies below those that the system gives to
// who asks for any: a server that is away for a while finds its port free again. The ports
// that other tests give out, and may not listen on yet, lie below these.
func freePort() (int, error) {
	for tries := 0; ; tries++ {
		port := 30_000 + rand.IntN(2700) //nolint:gosec // chance, not a secret
		l, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:"+strconv.Itoa(port))
		if err == nil {
			return port, l.Close()
		}
		if tries > 1000 {
			return 0, err
		}
	}
}
