// Package portal is what a browser sees: the pages on which people sign in,
// agree, look after their account and sign out. It issues nothing, and it knows
// no dialect.
package portal
