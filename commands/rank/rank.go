// Package rank orders tickets inside a column by strings compared as bytes, with
// room between any two of them, so that a move writes one ticket and a fold
// needs no neighbours. The encoding is David Greenspan's fractional indexing
// (https://observablehq.com/@dgreensp/implementing-fractional-indexing): a
// variable-length integer, whose first character tells its length, followed by
// a fraction in base 62 without trailing zeros. Adding at either end grows the
// integer, so ranks stay short: a million appended tickets need five characters.
//
//	a := rank.Between("", "") // rank.First
//	b := rank.Between(a, "")
//	m := rank.Between(a, b)   // a < m < b
package rank

import "strings"

// First is the rank of the first ticket of a column.
const First = "a0"

const (
	digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
)

// Between returns a rank above a and below b, where "" is no bound. a must
// be below b.
func Between(a, b string) string {
	switch {
	case a == "" && b == "":
		return First
	case a == "":
		whole := wholePart(b)
		if whole < b {
			return whole // b has a fraction: its integer alone is smaller
		}
		if lower, ok := decrement(whole); ok {
			return lower
		}
		return whole + midpoint("", b[len(whole):])
	case b == "":
		whole := wholePart(a)
		if higher, ok := increment(whole); ok {
			return higher
		}
		return whole + midpoint(a[len(whole):], "")
	}
	wholeA, wholeB := wholePart(a), wholePart(b)
	if wholeA == wholeB {
		return wholeA + midpoint(a[len(wholeA):], b[len(wholeB):])
	}
	if higher, ok := increment(wholeA); ok && higher < b {
		return higher
	}
	return wholeA + midpoint(a[len(wholeA):], "")
}

// wholePart is the integer at the start of a rank: 'a' heads two characters,
// 'b' three, …; 'Z' heads two, 'Y' three, … for negative ones.
func wholePart(rank string) string {
	head := rank[0]
	length := int(head-'a') + 2
	if head <= 'Z' {
		length = int('Z'-head) + 2
	}
	return rank[:length]
}

func increment(whole string) (string, bool) {
	head, b := whole[0], []byte(whole[1:])
	for i := len(b) - 1; i >= 0; i-- {
		d := strings.IndexByte(digits, b[i]) + 1
		if d < len(digits) {
			b[i] = digits[d]
			return string(head) + string(b), true
		}
		b[i] = digits[0]
	}
	switch {
	case head == 'Z':
		return First, true
	case head == 'z':
		return "", false
	case head+1 > 'a':
		b = append(b, digits[0]) // one digit more
	default:
		b = b[1:] // negative numbers get shorter on the way to zero
	}
	return string(head+1) + string(b), true
}

func decrement(whole string) (string, bool) {
	last := digits[len(digits)-1]
	head, b := whole[0], []byte(whole[1:])
	for i := len(b) - 1; i >= 0; i-- {
		d := strings.IndexByte(digits, b[i]) - 1
		if d >= 0 {
			b[i] = digits[d]
			return string(head) + string(b), true
		}
		b[i] = last
	}
	switch {
	case head == 'a':
		return "Z" + string(last), true
	case head == 'A':
		return "", false
	case head-1 < 'Z':
		b = append(b, last)
	default:
		b = b[1:]
	}
	return string(head-1) + string(b), true
}

// midpoint returns a fraction above a and below b, "" being 0 for a and 1 for b.
func midpoint(a, b string) string {
	if b != "" {
		// Keep the common prefix, with a padded by zeros.
		n := 0
		for n < len(b) && digitAt(a, n) == b[n] {
			n++
		}
		if n > 0 {
			return b[:n] + midpoint(a[min(n, len(a)):], b[n:])
		}
	}
	low, high := 0, len(digits)
	if a != "" {
		low = strings.IndexByte(digits, a[0])
	}
	if b != "" {
		high = strings.IndexByte(digits, b[0])
	}
	switch {
	case high-low > 1:
		return string(digits[(low+high)/2])
	case len(b) > 1:
		return b[:1]
	case a == "":
		return string(digits[low]) + midpoint("", "")
	default:
		return string(digits[low]) + midpoint(a[1:], "")
	}
}

func digitAt(s string, i int) byte {
	if i < len(s) {
		return s[i]
	}
	return digits[0]
}
