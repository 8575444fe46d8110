package mcp

import (
	"math/rand/v2"
	"strings"
	"testing"
	"unicode"

	"github.com/tiktoken-go/tokenizer"

	"github.com/agent-kanban/agent-kanban/commands"
)

// ratio is how far weigh is above the real count, in a reply: as it is, and
// inside of a JSON string.
func ratio(t testing.TB, text string) float64 {
	t.Helper()
	quoted, err := encode(text)
	if err != nil {
		t.Fatal(err)
	}
	return float64(weigh(text)+weigh(string(quoted))) / float64(count(t, text)+count(t, string(quoted)))
}

// weigh holds for text that somebody wrote to make replies costly: a search for
// the worst goes on from random texts to worse ones.
func TestWeighHoldsForHostileText(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(3, 4))
	for name, alphabet := range map[string]string{
		"small": "abcdefghijklmnopqrstuvwxyz", "words": "abcdefghijklmnopqrstuvwxyz   ", "vowels": "aeiouy qz", "common": "etaoinsr ",
		"both": "abcdefgqxzABCDEFGQXZ ", "capitals": "ABCDEFGHIJKLMNOPQRSTUVWXYZ ", "alnum": "abcdeqxz0123456789 -",
		"signs": "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~ ", "json": "{}[]\",:\\ a1", "spaces": " \n\t\r.a1", "accents": "aeoqzäöüßéèñ ", "cyrillic": "абвгдежзъыьэюя ",
	} {
		letters := []rune(alphabet)
		lowest, worst := 9.0, ""
		for range 6 {
			unit := make([]rune, 2+rng.IntN(9))
			for i := range unit {
				unit[i] = letters[rng.IntN(len(letters))]
			}
			best := 9.0
			for range 120 {
				next := append([]rune{}, unit...)
				next[rng.IntN(len(next))] = letters[rng.IntN(len(letters))]
				if r := ratio(t, strings.Repeat(string(next), 60/len(next))); r <= best {
					best, unit = r, next
				}
			}
			if best < lowest {
				lowest, worst = best, string(unit)
			}
		}
		t.Logf("%-9s at worst %.2f with %q", name, lowest, worst)
		if lowest < 1 {
			t.Errorf("%s: weigh is %.2f of the tokens of %q, repeated", name, lowest, worst)
		}
	}
}

// weigh holds for every script of Unicode.
func TestWeighHoldsForEveryScript(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(5, 6))
	for name, table := range unicode.Scripts {
		var all []rune
		for _, r := range table.R16 {
			for c := rune(r.Lo); c <= rune(r.Hi); c += rune(r.Stride) {
				all = append(all, c)
			}
		}
		for _, r := range table.R32 {
			for c := rune(r.Lo); c <= rune(r.Hi); c += rune(r.Stride) {
				all = append(all, c)
			}
		}
		text := make([]rune, 600)
		for i := range text {
			text[i] = all[rng.IntN(len(all))]
		}
		if r := ratio(t, string(text)); r < 1 {
			t.Errorf("%s: weigh is %.2f of the tokens", name, r)
		}
	}
}

// What weigh takes for granted about words and pairs.
func TestTokenizersKnowTheWords(t *testing.T) {
	t.Parallel()
	for _, encoding := range []tokenizer.Encoding{tokenizer.O200kBase, tokenizer.Cl100kBase} {
		codec, err := tokenizer.Get(encoding)
		if err != nil {
			t.Fatal(err)
		}
		one := func(text string) {
			if n, err := codec.Count(text); err != nil || n != 1 {
				t.Errorf("%s: %q is %d tokens, want 1 (%v)", encoding, text, n, err)
			}
		}
		for w := range words() {
			title := strings.ToUpper(w[:1]) + w[1:]
			one(w)
			one(" " + w)
			one(title)
			one(" " + title)
		}
		for _, pair := range strings.Fields(knownPairs) {
			one(pair)
		}
		for a := 'a'; a <= 'z'; a++ {
			for b := 'a'; b <= 'z'; b++ {
				if pair := string([]rune{a, b}); !strings.Contains(unknownPairs, pair) {
					one(pair)
				}
			}
		}
	}
}

// A ticket that was written to flood whoever reads it does not: every reply
// keeps its cap, and the text can still be read to its end.
func TestHostileTicketKeepsTheCap(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	_, token := a.board()
	s := a.overHTTP(token)
	for _, unit := range []string{"ozu", "ouiea ", "ߊ", "㐀"} {
		text := strings.Repeat(unit, commands.MaxText/len(unit))
		key := a.ticket(commands.CreateTicket{
			Board: "WEB", Title: strings.Repeat(unit, 12), Description: text, Checklist: []string{strings.Repeat(unit, 40)},
		})
		got, _, calls, most := readAll(t, s, key)
		t.Logf("%-8q %d bytes in %d replies, at most %d tokens", unit, len(text), calls, most)
		if want := strings.TrimSpace(text); strings.TrimSpace(got.Description) != want {
			t.Errorf("%q: the description does not come out as it went in", unit)
		}
		capped[ticketReply](t, s, "get_ticket", args{"ticket": key})
	}
	capped[findReply](t, s, "find_tickets", args{"board": "WEB", "limit": 50, "detailed": true})
	capped[summaryReply](t, s, "board_summary", args{"board": "WEB", "detailed": true})
}
