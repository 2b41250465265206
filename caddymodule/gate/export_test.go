package gate

// Len is how many tokens and clients have streams.
func (s *Streams) Len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.byToken) + len(s.byClient)
}
