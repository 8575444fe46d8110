package http

import (
	"bytes"
	"context"
	"strconv"
	"sync"

	"github.com/klauspost/compress/zstd"
)

// SharedReplies keeps replies for all processes of the server. Every method
// answers soon, whether what is shared can be reached or not.
type SharedReplies interface {
	// Load returns the last reply stored under a name.
	Load(ctx context.Context, name string) (value []byte, found bool)
	// Store replaces it.
	Store(ctx context.Context, name string, value []byte)
	// Forget drops all replies.
	Forget(ctx context.Context)
}

func (key keptKey) name() string { return key.kind + " " + strconv.FormatInt(key.board, 10) }

var zstdDecoder = sync.OnceValue(func() *zstd.Decoder {
	d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(keptBytes))
	if err != nil {
		panic(err) // the options are constants
	}
	return d
})

// store lets other processes have a reply: the stamp that names what it says, a
// line feed, and the rest compressed.
func (k *kept) store(ctx context.Context, shared SharedReplies, key keptKey, stamp string) {
	shared.Store(ctx, key.name(), zstdEncoder().EncodeAll(k.rest, []byte(stamp+"\n")))
}

// load takes a reply that another process made, where it says what would be read
// here at the position.
func (k *kept) load(ctx context.Context, shared SharedReplies, key keptKey, stamp string, position int64) bool {
	value, found := shared.Load(ctx, key.name())
	if !found {
		return false
	}
	packed, ok := bytes.CutPrefix(value, []byte(stamp+"\n"))
	if !ok {
		return false
	}
	rest, err := zstdDecoder().DecodeAll(packed, nil)
	if err != nil || len(rest) == 0 {
		return false
	}
	k.set(rest, position)
	return true
}
