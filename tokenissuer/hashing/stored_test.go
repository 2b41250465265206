package hashing

import (
	"errors"
	"strings"
	"testing"
)

// One line of an export must not take the machine's memory, nor a minute.
func TestStoredCostIsBounded(t *testing.T) {
	h, err := New(8, 1, nil)
	if err != nil {
		t.Fatal(err)
	}
	key := strings.Repeat("A", 43)
	bcryptTail := strings.Repeat("a", 53)
	for name, encoded := range map[string]string{
		"nothing":                 "",
		"plain":                   "hunter2",
		"one dollar":              "$",
		"plaintext scheme":        "$plaintext$hunter2",
		"sha512crypt":             "$6$rounds=5000$saltsalt$" + key,
		"argon2d":                 "$argon2d$v=19$m=64,t=1,p=1$c2FsdHNhbHQ$" + key,
		"argon2 memory":           "$argon2id$v=19$m=4294967295,t=1,p=1$c2FsdHNhbHQ$" + key,
		"argon2 passes":           "$argon2id$v=19$m=65536,t=1000,p=1$c2FsdHNhbHQ$" + key,
		"argon2 lanes":            "$argon2id$v=19$m=262144,t=1,p=256$c2FsdHNhbHQ$" + key,
		"argon2 nothing":          "$argon2id$v=19$m=0,t=0,p=0$c2FsdHNhbHQ$" + key,
		"argon2 memory, aside":    "$argon2id$v=19,m=4294967295$m=64,t=1,p=1$c2FsdHNhbHQ$" + key,
		"argon2 old version":      "$argon2id$v=16$m=64,t=1,p=1$c2FsdHNhbHQ$" + key,
		"argon2 negative":         "$argon2id$v=19$m=-64,t=1,p=1$c2FsdHNhbHQ$" + key,
		"argon2 sign":             "$argon2id$v=19$m=+64,t=1,p=1$c2FsdHNhbHQ$" + key,
		"argon2 twice":            "$argon2id$v=19$m=64,t=1,p=1,m=262144$c2FsdHNhbHQ$" + key,
		"argon2 short key":        "$argon2id$v=19$m=64,t=1,p=1$c2FsdHNhbHQ$AAAA",
		"argon2 long key":         "$argon2id$v=19$m=64,t=1,p=1$c2FsdHNhbHQ$" + strings.Repeat("A", 200),
		"argon2 no key":           "$argon2id$v=19$m=64,t=1,p=1$c2FsdHNhbHQ$",
		"argon2 bad base64":       "$argon2id$v=19$m=64,t=1,p=1$!!$" + key,
		"bcrypt cost":             "$2b$31$" + bcryptTail,
		"bcrypt cost 3":           "$2b$03$" + bcryptTail,
		"bcrypt short":            "$2b$04$" + bcryptTail[1:],
		"bcrypt x":                "$2x$04$" + bcryptTail,
		"bcrypt signed cost":      "$2b$+4$" + bcryptTail,
		"scrypt N":                "$scrypt$ln=40,r=8,p=1$c2FsdHNhbHQ$" + key,
		"scrypt memory":           "$scrypt$ln=20,r=64,p=1$c2FsdHNhbHQ$" + key,
		"scrypt lanes":            "$scrypt$ln=10,r=8,p=1000000$c2FsdHNhbHQ$" + key,
		"scrypt nothing":          "$scrypt$ln=0,r=0,p=0$c2FsdHNhbHQ$" + key,
		"yescrypt":                "$y$j9T$saltsalt$" + key,
		"pbkdf2 iterations":       "$pbkdf2-sha256$2000000000$c2FsdHNhbHQ$" + key,
		"pbkdf2 none":             "$pbkdf2-sha256$0$c2FsdHNhbHQ$" + key,
		"pbkdf2 unknown function": "$pbkdf2-md5$1000$c2FsdHNhbHQ$" + key,
		"long":                    "$pbkdf2-sha256$1000$" + strings.Repeat("A", 2000) + "$" + key,
	} {
		if _, err := h.Decode(encoded); !errors.Is(err, errHash) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestDefaultsAreOWASPs(t *testing.T) {
	h, err := New(0, 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	phc, err := h.Hash(right)
	if err != nil || !strings.HasPrefix(phc, "$argon2id$v=19$m=19456,t=2,p=1$") {
		t.Fatalf("%s, %v", phc, err)
	}
	if s, err := h.Decode(phc); err != nil || s.Weak || s.AsSent {
		t.Fatalf("%+v, %v", s, err)
	}
	if other, _ := h.Hash(right); other == phc {
		t.Error("two hashes with one salt")
	}
}

func FuzzStoredHash(f *testing.F) {
	h, err := New(8, 1, nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Add("$2b$04$" + strings.Repeat("a", 53))
	f.Add("$argon2id$v=19$m=64,t=1,p=1$c2FsdHNhbHQ$" + strings.Repeat("A", 43))
	f.Add("$scrypt$ln=4,r=8,p=1$c2FsdHNhbHQ$" + strings.Repeat("A", 43))
	f.Add("$pbkdf2-sha256$1$c2FsdHNhbHQ$" + strings.Repeat("A", 43))
	f.Fuzz(func(t *testing.T, encoded string) {
		s, err := h.Decode(encoded)
		if err != nil {
			return
		}
		// The decoder computes with the parameters that were bounded, not with others
		// it found elsewhere in the text.
		parameters := encoded[:strings.LastIndex(encoded[:strings.LastIndex(encoded, "$")], "$")]
		printed := s.digest.Encode()
		if strings.HasPrefix(encoded, "$2") { // prints its cost without the zero, and always as $2b$
			parameters = "$2b$" + strings.TrimPrefix(encoded[4:7], "0")
		}
		if !strings.HasPrefix(printed, strings.Replace(parameters, "pbkdf2-sha1$", "pbkdf2$", 1)) {
			t.Fatalf("%q was read as %q", encoded, printed)
		}
	})
}
