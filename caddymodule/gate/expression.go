package gate

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/checker"
	"cel.dev/cel-go/common/types"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/token"
)

// The bounds of an expression: what an operator writes in earnest is far below,
// and the work of one answer ends within a few milliseconds.
const (
	maxExpression  = 4096   // characters
	maxDepth       = 64     // of parentheses
	expressionCost = 20_000 // CEL's units of work, about one for each operation
)

// Expression is a rule in CEL, compiled: a question about the claims of a token
// and the request it came with. It is safe for concurrent use.
type Expression struct {
	program cel.Program
	claims  []string
	lasting bool // of the claims alone, so one answer is good for as long as they are
	path    bool // asks for the path
	method  bool // asks for the method
	host    bool // asks for the host
	text    string
}

// language is what an expression may say. Names with a dot are one name, so
// that a request's facts are checked by their types and looked up without a map.
var language = sync.OnceValues(func() (*cel.Env, error) {
	return cel.NewEnv(
		cel.Variable("claims", cel.MapType(cel.StringType, cel.DynType)),
		cel.Variable("now", cel.TimestampType),
		cel.Variable("request.method", cel.StringType),
		cel.Variable("request.host", cel.StringType),
		cel.Variable("request.path", cel.StringType),
		cel.Variable("request.client_ip", cel.StringType),
		cel.CrossTypeNumericComparisons(true),
		cel.ParserRecursionLimit(maxDepth),
		cel.ParserExpressionSizeLimit(maxExpression),
	)
})

// NewExpression compiles a rule, or says in one line what is wrong with it.
func NewExpression(text string) (*Expression, error) {
	switch {
	case strings.TrimSpace(text) == "":
		return nil, errors.New("the expression is empty")
	case len(text) > maxExpression:
		return nil, fmt.Errorf("the expression is longer than %d characters", maxExpression)
	}
	env, err := language()
	if err != nil {
		return nil, err
	}
	checked, issues := env.Compile(text)
	if err := issues.Err(); err != nil {
		return nil, errors.New(firstIssue(issues))
	}
	if !checked.OutputType().IsExactType(cel.BoolType) {
		return nil, errors.New(`the answer must be yes or no: compare it, such as claims.department == "eu"`)
	}
	e := &Expression{text: text}
	if err := e.inspect(checked); err != nil {
		return nil, err
	}
	estimate, err := env.EstimateCost(checked, largest{})
	if err != nil {
		return nil, errors.New(oneLine(err.Error()))
	}
	options := []cel.ProgramOption{cel.EvalOptions(cel.OptOptimize)}
	if estimate.Max > expressionCost {
		// The meter costs ten allocations; what cannot reach the bound goes without.
		options = append(options, cel.CostLimit(expressionCost))
	}
	e.program, err = env.Program(checked, options...)
	if err != nil {
		return nil, errors.New(oneLine(err.Error()))
	}
	return e, nil
}

// largest is how much a request can bring: what is written in a token of 8 KiB,
// or in a head of 16 KiB. It implements checker.CostEstimator.
type largest struct{}

func (largest) EstimateSize(node checker.AstNode) *checker.SizeEstimate {
	if len(node.Path()) == 0 {
		return nil // computed: the library knows, or nobody
	}
	return &checker.SizeEstimate{Max: 16 << 10}
}

func (largest) EstimateCallCost(string, string, *checker.AstNode, []checker.AstNode) *checker.CallEstimate {
	return nil
}

// firstIssue is the first mistake, without the drawing of where it stands.
func firstIssue(issues *cel.Issues) string {
	first := issues.Errors()[0]
	text := strings.TrimSuffix(oneLine(first.Message), " (in container '')")
	if strings.HasPrefix(text, "undeclared reference") {
		text += ": known are claims, now, request.method, request.host, request.path and request.client_ip"
	}
	return fmt.Sprintf("column %d: %s", first.Location.Column()+1, text)
}

func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }

// Claims are the names of the claims that are asked for by name.
func (e *Expression) Claims() []string { return e.claims }

// facts are what an expression is asked about.
type facts struct {
	claims *token.Claims
	r      *http.Request
	of     *policy
	now    time.Time
}

// ResolveName implements cel.Activation.
func (f *facts) ResolveName(name string) (any, bool) {
	switch name {
	case "claims":
		return f.claims.Every(), true
	case "now":
		return types.Timestamp{Time: f.now}, true
	case "request.method":
		return types.String(method(f.r)), true
	case "request.host":
		return types.String(Host(f.r)), true
	case "request.path":
		return types.String(f.r.URL.Path), true
	case "request.client_ip":
		return types.String(f.of.peer(f.r)), true
	}
	return nil, false
}

// method is GET for every WebSocket: over HTTP/2 and HTTP/3 one is opened by CONNECT,
// which is of the protocol and not of what is asked for.
func method(r *http.Request) string {
	if connectsSocket(r) {
		return http.MethodGet
	}
	return r.Method
}

// Parent implements cel.Activation.
func (f *facts) Parent() cel.Activation { return nil }

var (
	errTwoReadings = errors.New("the path has more than one reading")
	errTwoMethods  = errors.New("the method has small letters, which some read as another one, or others are named beside it")
	errTwoHosts    = errors.New("the host has more than one reading")
	errDestination = errors.New("the path in Destination is another host's, or has more than one reading")
)

// holds answers no to whatever cannot be answered: a claim that is not there, a
// comparison of text with a number, too much work. Then the error says why.
func (e *Expression) holds(f *facts) (bool, error) {
	switch {
	case e.path && Ambiguous(f.r.URL):
		return false, errTwoReadings
	case e.method && hasSmallLetters(f.r.Method):
		return false, errTwoMethods
	case e.host && !isPlainHost(f.r.Host):
		return false, errTwoHosts
	}
	if yes, err := e.eval(f); !yes {
		return false, err
	}
	return e.holdsOtherwise(f)
}

// holdsOtherwise asks about what else a backend may read, as far as the rule does.
func (e *Expression) holdsOtherwise(f *facts) (bool, error) {
	readings := []*http.Request{f.r}
	if e.method {
		method, several := otherMethod(f.r)
		if several {
			return false, errTwoMethods
		}
		if method != "" {
			readings = append(readings, by(f.r, method))
		}
	}
	if e.path {
		to, named := destination(f.r, f.of.sent)
		if !named {
			return false, errDestination
		}
		each := slices.Clone(readings)
		for _, r := range each {
			if path := bare(r.URL.Path); path != r.URL.Path {
				readings = append(readings, at(r, path, r.URL.RawQuery))
			}
			if to != nil {
				readings = append(readings, at(r, to.Path, r.URL.RawQuery))
			}
		}
	}
	for _, r := range readings[1:] {
		if yes, err := e.evalAs(f, r); !yes {
			return false, err
		}
	}
	if !e.path {
		return true, nil
	}
	scripts, complete := Scripts(f.r, readings[1:])
	if !complete {
		return false, errTwoReadings
	}
	for _, s := range scripts {
		yes, err := e.evalAs(f, s.As)
		if yes {
			continue
		}
		if unnamed, _ := e.evalAs(f, s.Unnamed); unnamed { // so its name is not why it holds otherwise
			return false, err
		}
	}
	return true, nil
}

func (e *Expression) evalAs(f *facts, r *http.Request) (bool, error) {
	other := *f
	other.r = r
	return e.eval(&other)
}

func (e *Expression) eval(f *facts) (bool, error) {
	out, _, err := e.program.Eval(f)
	if err != nil {
		return false, err
	}
	return out == types.True, nil
}

// judgement is what an expression says of a token's claims.
type judgement struct {
	of    *Expression
	holds bool
	cause error
}

// judge asks the expression, or remembers what it has said of this token.
func (e *entry) judge(p *policy, r *http.Request, now time.Time) error {
	x := p.expression
	if x.lasting {
		if j := e.more().judged.Load(); j != nil && j.of == x {
			return refusedBy(j.holds, j.cause)
		}
	}
	holds, cause := x.holds(&facts{e.claims, r, p, now})
	if !x.lasting {
		return refusedBy(holds, cause)
	}
	e.more().judged.Store(&judgement{x, holds, cause})
	return refusedBy(holds, cause)
}

func refusedBy(holds bool, cause error) error {
	switch {
	case holds:
		return nil
	case cause != nil:
		return fmt.Errorf("%w: %w", errExpression, cause)
	}
	return errExpression
}

// Host is the host that a request is for, in lower case and without a port.
func Host(r *http.Request) string { return strings.TrimSuffix(plainHost(r.Host), ".") }

// distinct sorts, and drops what stands twice.
func distinct(names []string) []string {
	slices.Sort(names)
	return slices.Compact(names)
}
