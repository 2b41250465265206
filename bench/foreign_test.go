package main

import "testing"

func TestASmoothKeyIsMadeAndVerifies(t *testing.T) {
	for range 100 {
		k, err := newSmoothKey()
		if err != nil || k.public.N.BitLen() != 2048 {
			t.Fatalf("%d bits: %v", k.public.N.BitLen(), err)
		}
	}
}

func BenchmarkSmoothSignature(b *testing.B) {
	k, err := newSmoothKey()
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		k.sign([32]byte{})
	}
}
