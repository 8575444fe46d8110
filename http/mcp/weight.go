package mcp

import (
	_ "embed"
	"encoding/json"
	"strings"
	"sync"
	"unicode/utf8"
)

// maxWeight bounds every reply. weigh is an upper bound of a real tokenizer's
// count, and a test holds that no reply takes more than 8,000 tokens.
const maxWeight = 7800

// wordList are frequent English words, each of them one token of o200k_base and
// of cl100k_base, with a capital and after a space too; a test holds it.
//
//go:embed words.txt
var wordList string

// words is made at the first use: most runs of the program need it never.
var words = sync.OnceValue(func() map[string]bool {
	known := make(map[string]bool)
	for _, w := range strings.Fields(wordList) {
		known[w] = true
	}
	return known
})

// Tokenizers of models (byte pair encodings) join two neighbours for as long as
// they know what they make together. So of two single letters side by side that
// are known as a pair none is left: three letters take two tokens at most. That
// holds of whatever somebody writes to make replies costly, as no estimate by
// the usual proportions does.
const (
	// unknownPairs of letters are no token of either encoding.
	unknownPairs = "bq fj fz gj gk gq hj jg jv jw jx jy jz kq kx kz lq mz nq oq qf qg qj qk qo qv qy qz rj tj tq uq vq vz " +
		"wq wv wz xg xh xj xk xq xu xv xw yf yj yq yv zg zj zq zr zv"
	// knownPairs of signs are one token of both: those of JSON, and of much code.
	knownPairs = `"" ": ", "} "] {" [" [{ }, }] }} ], :[ :{ \" \\ () (" ") ), ). ); // /* */ -- == => -> := != .. ** && || <= >= ++`
)

// pairs is a set of two ASCII characters, to look up quickly: every reply is
// weighed many times.
type pairs [1 << 14]bool

func pairsOf(list string) *pairs {
	set := new(pairs)
	for _, p := range strings.Fields(list) {
		set[int(p[0])<<7|int(p[1])] = true
	}
	return set
}

func (s *pairs) has(a, b byte) bool { return s[int(a)<<7|int(b)] }

var unknown, known = pairsOf(unknownPairs), pairsOf(knownPairs)

// weigh estimates from above how many tokens a text takes, without a tokenizer.
func weigh(s string) int {
	total := 0
	for len(s) > 0 {
		c, n := utf8.DecodeRuneInString(s)
		k := kindOfRune(c)
		end := n
		for end < len(s) && k != foreign {
			next := s[end]
			// A capital after a small letter begins a word.
			if kindOfRune(rune(next)) != k || next >= 'A' && next <= 'Z' && s[end-1] >= 'a' {
				break
			}
			end++
		}
		total += weighRun(k, s[:end], s[end:])
		s = s[end:]
	}
	return total
}

// kind is what a rune is to a tokenizer, which cuts a text where two meet.
type kind byte

const (
	letter kind = iota
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

// weighRun weighs a run of one kind, or one foreign rune; rest follows it.
func weighRun(k kind, run, rest string) int {
	switch k {
	case letter:
		lower := strings.ToLower(run)
		if words()[lower] && run[1:] == lower[1:] {
			return 1
		}
		return parts(run, func(a, b byte) bool { return a >= 'a' && b >= 'a' && !unknown.has(a, b) })
	case digit:
		return (len(run) + 2) / 3
	case space:
		// One goes with the word that follows, but not with a number.
		alone := rest == "" || kindOfRune(rune(rest[0])) != letter && kindOfRune(rune(rest[0])) != sign
		switch {
		case len(run) == 1 && !alone:
			return 0
		case len(run) > 1 && alone:
			return 2 + len(run)/16
		default:
			return 1 + len(run)/16
		}
	case line:
		return len(run)
	case sign:
		return parts(run, known.has)
	default:
		c, n := utf8.DecodeRuneInString(run)
		if n == 2 && oneToken(c) || n == 4 && c >= 0x1f300 && c <= 0x1f6ff {
			return n - 1
		}
		return max(n, 1)
	}
}

// oneToken tells the letters of two bytes that tokenizers know as one.
func oneToken(c rune) bool {
	return c >= 0xc0 && c <= 0xff || c >= 0x3b1 && c <= 0x3c9 || c >= 0x410 && c <= 0x44f || c >= 0x5d0 && c <= 0x5ea || c >= 0x627 && c <= 0x64a
}

// parts is the most tokens that a run may take, known says of which pairs of
// neighbours.
func parts(run string, known func(a, b byte) bool) int {
	total, n := 0, 1
	for i := 1; i < len(run); i++ {
		if known(run[i-1], run[i]) {
			n++
			continue
		}
		total, n = total+(2*n+2)/3, 1
	}
	return total + (2*n+2)/3
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
	// A long text is not weighed to its end.
	low, high := 0, min(len(s), left)
	for high < len(s) && cost(s[:high]) <= left {
		low, high = high, min(len(s), 2*high)
	}
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
