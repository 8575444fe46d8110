package mcp

import (
	"encoding/json"
	"unicode/utf8"
)

// maxWeight bounds every reply. weigh is an upper bound of a real tokenizer's
// count, which a test holds for texts of all kinds; another one that holds that
// no reply takes more than 8,000 tokens.
const maxWeight = 7800

// weigh estimates from above how many tokens a text takes, without a tokenizer.
// Those cut a text where letters, digits, spaces and signs meet and where a
// capital begins a word, know most words and their parts, and divide further
// what they do not know: so what cannot be pronounced weighs more.
func weigh(s string) int {
	w := 0 // in twelfths
	var r run
	for i := 0; i < len(s); {
		c, n := rune(s[i]), 1
		if c >= utf8.RuneSelf {
			c, n = utf8.DecodeRuneInString(s[i:])
		}
		i += n
		if k := kindOfRune(c); k != r.kind || c >= 'A' && c <= 'Z' {
			w += r.weight(k)
			r = run{kind: k}
		}
		r.add(c, n)
	}
	return (w + r.weight(none) + 11) / 12
}

// kind is what a rune is to a tokenizer.
type kind byte

const (
	none kind = iota
	letter
	digit
	space
	line
	sign
	foreign
)

func kindOfRune(c rune) kind {
	switch {
	case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z':
		return letter
	case c >= '0' && c <= '9':
		return digit
	case c == ' ':
		return space
	case c == '\n', c == '\r', c == '\t':
		return line
	case c > ' ' && c < 0x7f:
		return sign
	default: // control characters too
		return foreign
	}
}

// run is a stretch of one kind.
type run struct {
	kind kind
	n    int
	// cluster counts the consonants since the last vowel, hard those that are
	// more than two in a row; bytes are of foreign runes.
	cluster, hard, bytes int
}

func (r *run) add(c rune, bytes int) {
	r.n++
	switch r.kind {
	case letter:
		switch c | 0x20 {
		case 'a', 'e', 'i', 'o', 'u', 'y':
			r.cluster = 0
		default:
			if r.cluster++; r.cluster > 2 || r.n == 2 && r.cluster == 2 {
				r.hard++
			}
		}
	case foreign:
		// Latin, Greek, Cyrillic, Hebrew, Arabic take two bytes, Chinese and its
		// neighbours three, and rare scripts too, but those are hardly known.
		switch {
		case bytes == 3 && (c < 0x3000 || c > 0x9fff) && (c < 0xac00 || c > 0xd7af):
			r.bytes += 3
		default:
			r.bytes += max(bytes-1, 1)
		}
	default:
	}
}

// weight of the run, which another kind follows, in twelfths of a token.
func (r *run) weight(next kind) int {
	switch r.kind {
	case letter:
		return 12*((r.n+3)/4) + 9*r.hard
	case digit:
		return 12 * ((r.n + 2) / 3)
	case space:
		if r.n == 1 && next != digit && next != line && next != space {
			return 0 // it goes with what follows
		}
		return 12 * (1 + r.n/16)
	case line:
		return 12 * (1 + r.n/4)
	case sign:
		return 12 * ((3*r.n + 3) / 4)
	case foreign:
		return 12 * r.bytes
	default:
		return 0
	}
}

// weightOf is that of data in a reply: once as it is and once inside of a JSON
// string.
func weightOf(data []byte) int {
	quoted, _ := json.Marshal(string(data)) // a string always encodes
	return weigh(string(data)) + weigh(string(quoted))
}

// cost is weightOf v's JSON.
func cost(v any) int {
	data, err := encode(v)
	if err != nil {
		return maxWeight // the reply's own encoding tells
	}
	return weightOf(data)
}

// prefix returns how many bytes of s, cut between two characters, cost at most
// left.
func prefix(s string, left int) int {
	if left <= 0 {
		return 0
	}
	low, high := 0, min(len(s), 16*left) // no text is that cheap
	for low < high {
		middle := (low + high + 1) / 2
		if cost(s[:middle]) <= left {
			low = middle
		} else {
			high = middle - 1
		}
	}
	return boundary(s, low)
}

// boundary moves n back to the beginning of a character.
func boundary(s string, n int) int {
	for n > 0 && n < len(s) && !utf8.RuneStart(s[n]) {
		n--
	}
	return min(n, len(s))
}
