package message_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/message"
)

// texted is a short message as an issuer would send it.
func texted() message.Message {
	return message.SMS(message.Message{
		ID: "m-1", To: "+8613800138000", Code: code, Usage: "login", Locale: "zh-CN", ClientID: "shop",
	}, "Example", time.Minute)
}

// service answers over HTTPS and returns a sender for it.
func service(t *testing.T, c message.WebhookConfig, answer http.HandlerFunc) *message.Webhook {
	t.Helper()
	srv := httptest.NewTLSServer(answer)
	srv.Config.ErrorLog = silent()
	t.Cleanup(srv.Close)
	c.CAFile = filepath.Join(t.TempDir(), "ca.pem")
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw})
	if err := os.WriteFile(c.CAFile, block, 0o600); err != nil {
		t.Fatal(err)
	}
	c.URL = srv.URL + "/send?key=hook-key"
	return newWebhook(t, c)
}

func newWebhook(t *testing.T, c message.WebhookConfig) *message.Webhook {
	t.Helper()
	hook, err := message.NewWebhook(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(hook.Close)
	return hook
}

func TestWebhookGetsTheMessage(t *testing.T) {
	var got *http.Request
	var body []byte
	hook := service(t, message.WebhookConfig{Header: http.Header{"authorization": {"Bearer hook-key"}}},
		func(w http.ResponseWriter, r *http.Request) {
			got = r
			body, _ = io.ReadAll(r.Body)
			w.WriteHeader(http.StatusAccepted)
		})
	if err := hook.Send(t.Context(), texted()); err != nil {
		t.Fatal(err)
	}
	const want = `{"id":"m-1","to":"+8613800138000","text":"Example 登录验证码：918273，60 秒内有效。请勿告诉任何人。",` +
		`"code":"918273","usage":"login","locale":"zh","client_id":"shop"}`
	if string(body) != want {
		t.Errorf("got  %s\nwant %s", body, want)
	}
	if got.Method != http.MethodPost || got.URL.RequestURI() != "/send?key=hook-key" {
		t.Errorf("%s %s", got.Method, got.URL.RequestURI())
	}
	for name, want := range map[string]string{
		"Content-Type": "application/json", "Idempotency-Key": "m-1", "Authorization": "Bearer hook-key",
	} {
		if values := got.Header.Values(name); len(values) != 1 || values[0] != want {
			t.Errorf("%s: %q", name, values)
		}
	}
}

func TestFailedWebhookIsTriedAgainWithTheSameKey(t *testing.T) {
	const lost = 0 // the connection ends without an answer
	for _, c := range []struct {
		name    string
		answers []int
		tries   int
		sent    bool
	}{
		{"500 then 200", []int{500, 200}, 2, true},
		{"503, 429, then 204", []int{503, 429, 204}, 3, true},
		{"connection lost, then 200", []int{lost, 200}, 2, true},
		{"500 for good", []int{500, 500, 500, 200}, 3, false},
		{"400", []int{400, 200}, 1, false},
		{"401", []int{401, 200}, 1, false},
		{"304", []int{304, 200}, 1, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			var mu sync.Mutex
			keys := []string{}
			hook := service(t, message.WebhookConfig{}, func(w http.ResponseWriter, r *http.Request) {
				mu.Lock()
				answer := c.answers[len(keys)]
				keys = append(keys, r.Header.Get("Idempotency-Key"))
				mu.Unlock()
				if answer == lost {
					panic(http.ErrAbortHandler)
				}
				w.WriteHeader(answer)
			})
			err := hook.Send(t.Context(), texted())
			if len(keys) != c.tries {
				t.Errorf("%d tries, want %d", len(keys), c.tries)
			}
			for _, key := range keys {
				if key != "m-1" {
					t.Errorf("keys %q", keys)
				}
			}
			if c.sent {
				if err != nil {
					t.Error(err)
				}
				return
			}
			e := failed(t, err, fmt.Sprintf("POST, try %d", c.tries))
			if !strings.Contains(e.Error(), fmt.Sprint("answered ", c.answers[0])) || e.Refused {
				t.Error(e)
			}
			clean(t, shown(e))
		})
	}
}

func TestHangingWebhookIsAskedOnceAndEndsByTheTimeout(t *testing.T) {
	t.Parallel()
	var asked atomic.Int32
	hook := service(t, message.WebhookConfig{Timeout: 5 * time.Second}, func(_ http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		_, _ = io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
	})
	e := failed(t, hook.Send(t.Context(), texted()), "POST, try 1")
	if !errors.Is(e, context.DeadlineExceeded) || asked.Load() != 1 {
		t.Errorf("asked %d times: %v", asked.Load(), e)
	}
	clean(t, shown(e))
}

// The third try would be half a second after the first. On a machine that took the time for
// the first two, another message is sent.
func TestRetriesEndWithTheTime(t *testing.T) {
	t.Parallel()
	var asked [50]atomic.Int32 // of each message: one that was given up may be answered beside the next
	hook := service(t, message.WebhookConfig{Timeout: 450 * time.Millisecond}, func(w http.ResponseWriter, r *http.Request) {
		if n, err := strconv.Atoi(r.Header.Get("Idempotency-Key")); err != nil || n < 0 || n >= len(asked) {
			t.Errorf("key %q", r.Header.Get("Idempotency-Key"))
		} else {
			asked[n].Add(1)
		}
		w.WriteHeader(http.StatusBadGateway)
	})
	for n := range asked {
		m := texted()
		m.ID = strconv.Itoa(n)
		err := hook.Send(t.Context(), m)
		times := asked[n].Load()
		if e, ok := errors.AsType[*message.Error](err); !ok || times > 2 {
			t.Fatalf("asked %d times: %v", times, err)
		} else if e.Step == "POST, try 2" && times == 2 && strings.Contains(e.Error(), "502") {
			return
		}
	}
	t.Error("no message came to its second try")
}

func TestAnswerWithoutAnEndIsNotWaitedFor(t *testing.T) {
	for name, status := range map[string]int{"sent": http.StatusOK, "refused": http.StatusForbidden} {
		for _, body := range []string{"endless", "silent"} {
			t.Run(name+" "+body, func(t *testing.T) {
				hook := service(t, message.WebhookConfig{Timeout: time.Minute}, func(w http.ResponseWriter, r *http.Request) {
					_, _ = io.Copy(io.Discard, r.Body)
					w.WriteHeader(status)
					_ = http.NewResponseController(w).Flush()
					for body == "endless" {
						if _, err := io.WriteString(w, strings.Repeat(code, 1000)); err != nil {
							return
						}
					}
					<-r.Context().Done()
				})
				start := time.Now()
				err := hook.Send(t.Context(), texted())
				if (err == nil) != (status == http.StatusOK) {
					t.Error(err)
				}
				if err != nil {
					clean(t, shown(err))
				}
				if took := time.Since(start); took > 30*time.Second {
					t.Errorf("took %v", took)
				}
			})
		}
	}
}

func TestRedirectedCodeGoesNowhere(t *testing.T) {
	for _, status := range []int{301, 302, 303, 307, 308} {
		var elsewhere atomic.Int32
		other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { elsewhere.Add(1) }))
		hook := service(t, message.WebhookConfig{}, func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, other.URL, status)
		})
		e := failed(t, hook.Send(t.Context(), texted()), "POST, try 1")
		other.Close()
		if elsewhere.Load() != 0 || !strings.Contains(e.Error(), fmt.Sprint("answered ", status)) {
			t.Errorf("%d requests to the target: %v", elsewhere.Load(), e)
		}
	}
}

// The service answers with what it has just read, which is no HTTP.
func TestGarbageIsNotQuoted(t *testing.T) {
	ca := newAuthority(t)
	listener := tls.NewListener(listen(t), ca.serves(t, "127.0.0.1"))
	var conversations sync.WaitGroup
	var asked atomic.Int32
	conversations.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			conversations.Go(func() {
				defer conn.Close()
				r, err := http.ReadRequest(bufio.NewReader(conn))
				if err != nil {
					return
				}
				asked.Add(1)
				body, _ := io.ReadAll(r.Body)
				_, _ = fmt.Fprintf(conn, "%s %s\r\n\r\n", r.Header.Get("Authorization"), body)
			})
		}
	})
	t.Cleanup(conversations.Wait)
	t.Cleanup(func() { _ = listener.Close() })
	hook := newWebhook(t, message.WebhookConfig{
		URL: "https://" + listener.Addr().String() + "/?key=hook-key", CAFile: ca.file, Header: http.Header{"Authorization": {"hook-key"}},
	})
	e := failed(t, hook.Send(t.Context(), texted()), "POST, try 3")
	if asked.Load() != 3 {
		t.Errorf("asked %d times", asked.Load())
	}
	clean(t, shown(e))
}

func TestWebhookWithTheWrongCertificateIsAskedOnce(t *testing.T) {
	ca := newAuthority(t)
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the service got the message") }))
	srv.TLS = ca.serves(t, "sms.example")
	srv.Config.ErrorLog = silent()
	srv.StartTLS()
	t.Cleanup(srv.Close)
	hook := newWebhook(t, message.WebhookConfig{URL: srv.URL, CAFile: ca.file})
	e := failed(t, hook.Send(t.Context(), texted()), "POST, try 1")
	if !strings.Contains(e.Error(), "certificate") {
		t.Error(e)
	}
}

func TestUnreachableWebhookIsNamed(t *testing.T) {
	listener := listen(t)
	address := listener.Addr().String()
	_ = listener.Close()
	hook := newWebhook(t, message.WebhookConfig{URL: "http://" + address + "/?key=hook-key"})
	e := failed(t, hook.Send(t.Context(), texted()), "POST, try 3")
	if e.Host != address || !strings.Contains(e.Error(), "refused") {
		t.Error(e)
	}
	clean(t, shown(e))
}

func TestWebhookIsReadStrictly(t *testing.T) {
	for _, good := range []string{"https://sms.internal/send", "http://localhost:9000/", "http://127.0.0.1/", "http://[::1]:80/x?y=z"} {
		if _, err := message.NewWebhook(message.WebhookConfig{URL: good}); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
	for _, bad := range []string{
		"", "sms.internal/send", "http://sms.internal/send", "http://10.0.0.1/", "http://localhost.example/", "ftp://localhost/",
		"https:///send", "https://sms.internal/#hook-key", "https://sms.internal:x/hook-key", "https://sms.internal/hook-key\x7f",
	} {
		_, err := message.NewWebhook(message.WebhookConfig{URL: bad})
		if err == nil {
			t.Errorf("%q is accepted", bad)
		} else {
			clean(t, err.Error())
		}
	}
	for _, bad := range []http.Header{
		{"Idempotency-Key": {"x"}},
		{"content-type": {"text/plain"}},
		{"Host": {"x"}},
		{"": {"x"}},
		{"A B": {"x"}},
		{"A:": {"x"}},
		{"Authorization": {"hook-key\r\nX: y"}},
		{"Authorization": {"hook-key\x00"}},
	} {
		_, err := message.NewWebhook(message.WebhookConfig{URL: "https://sms.internal/send", Header: bad})
		if err == nil {
			t.Errorf("%q is accepted", bad)
		} else {
			clean(t, err.Error())
		}
	}
}
