package hashing

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"time"
)

// patience is how long a process may be silent beyond what its job costs on a slow
// machine. One that is silent longer never answers, and those who wait behind it have
// five seconds: time must be left for their hashes.
const patience = 2 * time.Second

// leaveMost is how long a process may take to end by itself.
const leaveMost = 10 * time.Second

// surroundings is all that a process sees of the environment: no secret of the
// operator's is in it. One hash runs at a time, so one CPU is enough, for its
// garbage too, which is collected after each: two hashes' memory is the most.
var surroundings = []string{"GOMAXPROCS=1", "GOGC=100"}

// worker is a process that does one job at a time.
type worker struct {
	cmd    *exec.Cmd
	in     *os.File
	out    *os.File
	silent time.Duration // how long it may be, beyond what its job costs
	number uint64        // of the last job
	since  time.Time
	ended  chan struct{} // closed when state is known
	state  error         // why it ended
}

// start starts a process. It gets two pipes and nothing else.
func start(program string, args []string, silent time.Duration) (*worker, error) {
	theirs, in, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	out, ours, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(err, theirs.Close(), in.Close())
	}
	w := &worker{cmd: exec.Command(program, args...), in: in, out: out, silent: silent, ended: make(chan struct{})} //nolint:gosec,noctx // our own program, which outlives the request
	w.cmd.Args[0] = os.Args[0]
	w.cmd.Env, w.cmd.Stdin, w.cmd.Stdout = surroundings, theirs, ours
	err = startLow(w.cmd)
	_, _ = theirs.Close(), ours.Close() // the process has them now
	if err != nil {
		return nil, errors.Join(err, in.Close(), out.Close())
	}
	go func() {
		w.state = w.cmd.Wait()
		close(w.ended)
	}()
	return w, nil
}

// ask has a job done. After an error the process has ended.
func (w *worker) ask(j job) (answer, error) {
	most := w.silent + j.cost
	limit := time.AfterFunc(most, w.kill)
	a, err := w.exchange(j)
	intime := limit.Stop()
	if err == nil {
		return a, nil
	}
	w.kill()
	w.close()
	<-w.ended
	if !intime {
		err = fmt.Errorf("no answer within %s", most)
	}
	if w.state == nil {
		return answer{}, fmt.Errorf("%w; it ended by itself", err)
	}
	return answer{}, fmt.Errorf("%w; it ended: %w", err, w.state)
}

func (w *worker) exchange(j job) (answer, error) {
	w.number++
	if err := writeFrame(w.in, w.number, j.encode()); err != nil {
		return answer{}, err
	}
	number, message, err := readFrame(w.out, maxAnswer)
	if err != nil {
		return answer{}, err
	}
	if number != w.number {
		return answer{}, fmt.Errorf("%w: number %d for %d", errMessage, number, w.number)
	}
	return decodeAnswer(j, message)
}

func (w *worker) hasEnded() bool {
	select {
	case <-w.ended:
		return true
	default:
		return false
	}
}

func (w *worker) kill() { _ = w.cmd.Process.Kill() } // fails only when it has ended already

// close takes the process's input away, upon which it ends; one that is stopped does
// not, and is killed after a while.
func (w *worker) close() {
	_, _ = w.in.Close(), w.out.Close()
	time.AfterFunc(leaveMost, w.kill)
}
