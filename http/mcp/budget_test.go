package mcp

import (
	"encoding/json"
	"testing"

	"github.com/tiktoken-go/tokenizer"
)

// count is a real tokenizer's word: o200k_base, of OpenAI's newer models. Other
// vendors' differ by a tenth or two.
func count(t testing.TB, text string) int {
	t.Helper()
	codec, err := tokenizer.Get(tokenizer.O200kBase)
	if err != nil {
		t.Fatal(err)
	}
	n, err := codec.Count(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestX(t *testing.T) {
	var v any
	if err := json.Unmarshal(toolsJSON, &v); err != nil {
		t.Fatal(err)
	}
	text, _ := json.Marshal(v)
	t.Log(count(t, string(text)), len(text))
}
