package main

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// The server has a core of its own, so Go runs it with GOMAXPROCS=1 and HAProxy
// with one thread; what asks it and the upstream share the other core.
const (
	serverCore    = 0
	generatorCore = 1
)

var (
	work    = os.Getenv("BENCH_WORK")
	servers = os.Getenv("BENCH_SERVERS")
)

// server is a target that runs.
type server struct {
	target
	dir    string
	port   string
	base   string // the address of its site
	admin  string
	gogc   string
	tokens []string
	sent   int           // of the tokens that are sent once
	cold   time.Duration // from exec to the first good answer

	cmd   *exec.Cmd
	ended chan struct{}
}

var started struct {
	sync.Mutex
	all []*server
}

func stopAll() {
	started.Lock()
	defer started.Unlock()
	for _, s := range started.all {
		s.stop()
	}
}

// start runs the target in a folder of its own and, if it needs one, sets it up.
func start(t target, o options) (*server, error) {
	s := &server{target: t, dir: filepath.Join(work, "run", t.name), gogc: o.gogc}
	if err := os.RemoveAll(s.dir); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(s.dir, 0o755); err != nil {
		return nil, err
	}
	ports, err := freePorts(2)
	if err != nil {
		return nil, err
	}
	s.port, s.admin = ports[0], "127.0.0.1:"+ports[1]
	s.base = scheme(o.tls) + "://127.0.0.1:" + s.port
	if !s.own {
		if s.tokens, err = pool(s.algorithm, rotating); err != nil {
			return nil, err
		}
	}
	started.Lock()
	started.all = append(started.all, s)
	started.Unlock()
	if err := s.up(); err != nil {
		return nil, err
	}
	if s.own {
		if err := s.collect(rotating); err != nil {
			return nil, fmt.Errorf("%s: %w", t.name, err)
		}
	}
	return s, nil
}

// up starts the program, sets it up and waits for its first good answer.
func (s *server) up() error {
	argv := []string{"-c", s.cores()}
	for _, word := range s.argv {
		argv = append(argv, s.expand(word))
	}
	log, err := os.Create(filepath.Join(s.dir, "log"))
	if err != nil {
		return err
	}
	defer log.Close()
	s.cmd = exec.Command("taskset", argv...)
	s.cmd.Env, s.cmd.Dir = s.environment(), s.dir
	s.cmd.Stdout, s.cmd.Stderr = log, log
	began := time.Now()
	if err := s.cmd.Start(); err != nil {
		return err
	}
	s.ended = make(chan struct{})
	go func(cmd *exec.Cmd, ended chan struct{}) { _ = cmd.Wait(); close(ended) }(s.cmd, s.ended)

	setup := s.setup
	for time.Since(began) < 30*time.Second {
		select {
		case <-s.ended:
			return fmt.Errorf("%s ended: %s", s.name, s.lastWords())
		case <-time.After(time.Millisecond):
		}
		if len(setup) > 0 {
			if err = s.run(setup); err != nil {
				continue
			}
			setup = nil
		}
		if err = s.once(); err == nil {
			s.cold = time.Since(began)
			return nil
		}
	}
	return fmt.Errorf("%s does not answer well: %w: %s", s.name, err, s.lastWords())
}

// cores are where it may run. People who sign in are to leave the others room,
// which is a question of several cores: with one there is none.
func (s *server) cores() string {
	if s.kind == both {
		return "0-" + strconv.Itoa(runtime.NumCPU()-1)
	}
	return strconv.Itoa(serverCore)
}

// once asks for the thing the server is measured with.
func (s *server) once() error {
	switch {
	case s.kind == token:
		_, err := s.ask(browser, s.form)
		return err
	case s.own && len(s.tokens) == 0:
		_, err := s.ask(browser, s.form)
		return err
	default:
		return s.get(browser, s.tokens[0], http.StatusOK)
	}
}

func (s *server) stop() {
	if s.cmd == nil || s.cmd.Process == nil {
		return
	}
	_ = s.cmd.Process.Signal(syscall.SIGTERM) // it may have ended
	select {
	case <-s.ended:
	case <-time.After(5 * time.Second):
		_ = s.cmd.Process.Kill()
		<-s.ended
	}
	s.cmd = nil
}

// run runs a command of the setup with the account's password as its input.
func (s *server) run(argv []string) error {
	var words []string
	for _, word := range argv {
		words = append(words, s.expand(word))
	}
	cmd := exec.Command(words[0], words[1:]...)
	cmd.Env, cmd.Stdin = s.environment(), strings.NewReader(accountPassword+"\n")
	if said, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", strings.Join(words, " "), err, said)
	}
	return nil
}

func (s *server) variables() map[string]string {
	known := map[string]string{
		"BIN": filepath.Join(work, "bin"), "SERVERS": servers, "WORK": work, "KEYS": filepath.Join(work, "keys"), "RUN": s.dir,
		"PORT": s.port, "ADMIN": s.admin, "UPSTREAM": upstreamAddress, "FOREIGN_ISSUER": foreignIssuer, "WEBHOOK": messages.url,
		"BENCH_SECRET": secret, "ALGORITHM": s.algorithm, "HOME": s.dir, "XDG_DATA_HOME": s.dir, "XDG_CONFIG_HOME": s.dir,
		"NODE_ENV": "production", "CACHE_SIZE": "64MiB", "SCHEME": scheme(false),
	}
	if known["SCHEME"], _, _ = strings.Cut(s.base, ":"); known["SCHEME"] == scheme(true) {
		site := filepath.Join(known["KEYS"], "site.pem")
		known["TLS"], known["HAPROXY_TLS"] = "tls "+site+" "+site, "ssl crt "+site
	}
	return known
}

func (s *server) expand(word string) string {
	known := s.variables()
	return os.Expand(word, func(name string) string { return known[name] })
}

func (s *server) environment() []string {
	env := []string{"PATH=" + os.Getenv("PATH")}
	for name, value := range s.variables() {
		env = append(env, name+"="+value)
	}
	if s.gogc != "" {
		env = append(env, "GOGC="+s.gogc)
	}
	return append(env, s.env...)
}

func (s *server) lastWords() string {
	said, _ := os.ReadFile(filepath.Join(s.dir, "log"))
	return string(said[max(0, len(said)-800):])
}

// processes are the server's own and those it has started, such as the ones that
// hash passwords.
func (s *server) processes() []int {
	all := []int{s.cmd.Process.Pid}
	lists, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", all[0]))
	for _, list := range lists {
		text, _ := os.ReadFile(list) // empty when the thread has ended
		for _, field := range strings.Fields(string(text)) {
			if pid, err := strconv.Atoi(field); err == nil {
				all = append(all, pid)
			}
		}
	}
	return all
}

// proc is /proc/PID/NAME.
func proc(pid int, name string) string {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/%s", pid, name)) // empty when it has ended, and then every figure is 0
	return string(text)
}

// cpu is the time all threads of the server have run, in user mode and in the
// kernel, and those of its processes.
func (s *server) cpu() time.Duration {
	ticks := int64(0)
	for i, pid := range s.processes() {
		ticks += spent(pid, i == 0)
	}
	return time.Duration(ticks) * 10 * time.Millisecond // USER_HZ is 100 on Linux
}

// spent is what a process has run, and those of its children that have ended.
func spent(pid int, children bool) (ticks int64) {
	text := proc(pid, "stat")
	fields := strings.Fields(text[strings.LastIndexByte(text, ')')+1:])
	if len(fields) < 15 {
		return 0
	}
	last := 13
	if children {
		last = 15
	}
	for _, field := range fields[11:last] {
		n, _ := strconv.ParseInt(field, 10, 64)
		ticks += n
	}
	return ticks
}

// memory is the resident memory now, in MiB, of all its processes. What they
// share, the program's own text, counts once for each.
func (s *server) memory() float64 {
	sum := 0.0
	for _, pid := range s.processes() {
		for line := range strings.Lines(proc(pid, "status")) {
			if rest, found := strings.CutPrefix(line, "VmRSS:"); found {
				kib, _ := strconv.ParseFloat(strings.Fields(rest)[0], 64)
				sum += kib / 1024
			}
		}
	}
	return sum
}

func freePorts(n int) ([]string, error) {
	var ports []string
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer l.Close()
		_, port, _ := net.SplitHostPort(l.Addr().String())
		ports = append(ports, port)
	}
	return ports, nil
}

var browser = &http.Client{Timeout: 10 * time.Second}

// get asks for the upstream's page and wants the status, and with 200 the upstream's own answer.
func (s *server) get(c *http.Client, raw string, want int) error {
	req, err := http.NewRequest(http.MethodGet, s.base+"/api/hello", nil)
	if err != nil {
		return err
	}
	if raw != "" {
		req.Header.Set("Authorization", "Bearer "+raw)
	}
	res, err := c.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return err
	}
	if res.StatusCode != want || (want == http.StatusOK) != bytes.Equal(body, upstreamBody) {
		return fmt.Errorf("answer %d %.100s", res.StatusCode, body)
	}
	return nil
}
