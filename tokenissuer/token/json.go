package token

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
)

// optionalText returns a member that is a string or absent.
func optionalText(object members, name string) (string, error) {
	value, present := object.get(name)
	if !present {
		return "", nil
	}
	if text, ok := value.(string); ok {
		return text, nil
	}
	return "", fmt.Errorf("%s is not a string", name)
}

// texts returns an array of strings.
func texts(value any, name string) ([]string, error) {
	list, ok := value.([]any)
	if !ok {
		return nil, fmt.Errorf("%s is neither a string nor an array of strings", name)
	}
	out := make([]string, len(list))
	for i, v := range list {
		if out[i], ok = v.(string); !ok {
			return nil, fmt.Errorf("%s has an element that is not a string", name)
		}
	}
	return out, nil
}

// seconds reads a NumericDate (RFC 7519 §2), which may have a fraction: round
// takes it to the side that makes the token good for less time.
func seconds(object members, name string, round func(float64) float64) (value int64, present bool, err error) {
	v, present := object.get(name)
	if !present {
		return 0, false, nil
	}
	n, ok := v.(json.Number)
	if !ok {
		return 0, true, fmt.Errorf("%s is not a number", name)
	}
	if i, err := strconv.ParseInt(n.String(), 10, 64); err == nil && -maxSeconds <= i && i <= maxSeconds {
		return i, true, nil
	}
	f, err := n.Float64()
	if err != nil || math.Abs(f) > maxSeconds {
		return 0, true, fmt.Errorf("%s is out of range", name)
	}
	return int64(round(f)), true, nil
}

// maxSeconds is far from where adding a leeway could overflow, and exact in a
// float64.
const maxSeconds = 1 << 50
