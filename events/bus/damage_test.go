package bus

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// damaged starts with a stream of several blocks, stops everything cleanly, and
// leaves the rest to damage. Afterwards the stream must equal the log again.
type damaged struct {
	damage func(t *testing.T, r *rig)
	// rebuilds are the reasons of which one must be told; "" = none: the server
	// finds an end that is whole, and the relay continues there.
	rebuilds []string
}

// blocks returns the stream's block files in order.
func (r *rig) blocks() []string {
	r.t.Helper()
	files, err := filepath.Glob(filepath.Join(r.streamDir(), "msgs", "*.blk"))
	if err != nil || len(files) < 2 {
		r.t.Fatalf("blocks: got %v (%v), want several", files, err)
	}
	slices.SortFunc(files, func(a, b string) int {
		if len(a) != len(b) {
			return len(a) - len(b)
		}
		return slices.Compare([]byte(a), []byte(b))
	})
	return files
}

func (r *rig) streamDir() string {
	return filepath.Join(r.dir, "jetstream", "$G", "streams", StreamName)
}

func (r *rig) index() string { return filepath.Join(r.streamDir(), "msgs", "index.db") }

func size(t *testing.T, file string) int64 {
	t.Helper()
	info, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	return info.Size()
}

func truncate(t *testing.T, file string) {
	t.Helper()
	if err := os.Truncate(file, size(t, file)/2); err != nil {
		t.Fatal(err)
	}
}

func remove(t *testing.T, path string) {
	t.Helper()
	if _, err := os.Stat(path); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(path); err != nil {
		t.Fatal(err)
	}
}

// flip changes one byte in the middle of a file.
func flip(t *testing.T, file string, offset int64) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	data[offset] ^= 0x40
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestDamagedStore(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]damaged{
		"nothing": {func(*testing.T, *rig) {}, []string{""}},
		"last block truncated": {func(t *testing.T, r *rig) {
			blocks := r.blocks()
			truncate(t, blocks[len(blocks)-1])
		}, []string{"", reasonDamaged, reasonHoles}},
		"last block truncated, no index": {func(t *testing.T, r *rig) {
			blocks := r.blocks()
			truncate(t, blocks[len(blocks)-1])
			remove(t, r.index())
		}, []string{""}},
		"first block truncated": {func(t *testing.T, r *rig) {
			truncate(t, r.blocks()[0])
		}, []string{reasonHoles, reasonScrub}},
		"first block truncated, no index": {func(t *testing.T, r *rig) {
			truncate(t, r.blocks()[0])
			remove(t, r.index())
		}, []string{reasonHoles, reasonScrub}},
		"byte flipped in the middle": {func(t *testing.T, r *rig) {
			flip(t, r.blocks()[0], size(t, r.blocks()[0])/2)
		}, []string{reasonScrub}},
		"byte flipped in the middle, no index": {func(t *testing.T, r *rig) {
			flip(t, r.blocks()[0], size(t, r.blocks()[0])/2)
			remove(t, r.index())
		}, []string{reasonHoles, reasonScrub}},
		"byte flipped in the last message": {func(t *testing.T, r *rig) {
			blocks := r.blocks()
			flip(t, blocks[len(blocks)-1], size(t, blocks[len(blocks)-1])-40)
		}, []string{reasonDamaged}},
		"first block removed": {func(t *testing.T, r *rig) {
			remove(t, r.blocks()[0])
		}, []string{reasonHeadless}},
		"middle block removed": {func(t *testing.T, r *rig) {
			remove(t, r.blocks()[1])
		}, []string{reasonHoles}},
		"last block removed": {func(t *testing.T, r *rig) {
			blocks := r.blocks()
			remove(t, blocks[len(blocks)-1])
		}, []string{"", reasonDamaged, reasonHoles}},
		"all blocks removed": {func(t *testing.T, r *rig) {
			for _, b := range r.blocks() {
				remove(t, b)
			}
		}, []string{reasonEmpty}},
		"index zeroed": {func(t *testing.T, r *rig) {
			if err := os.WriteFile(r.index(), make([]byte, size(t, r.index())), 0o600); err != nil {
				t.Fatal(err)
			}
		}, []string{""}},
		"meta.inf removed": {func(t *testing.T, r *rig) {
			remove(t, filepath.Join(r.streamDir(), "meta.inf"))
		}, []string{""}},
		"meta.inf garbled": {func(t *testing.T, r *rig) {
			flip(t, filepath.Join(r.streamDir(), "meta.inf"), 3)
		}, []string{""}},
		"stream folder removed": {func(t *testing.T, r *rig) {
			remove(t, r.streamDir())
		}, []string{reasonMissing}},
		"jetstream folder removed": {func(t *testing.T, r *rig) {
			remove(t, filepath.Join(r.dir, "jetstream"))
		}, []string{reasonMissing}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			// The server cuts a stream of this size into blocks of 4 MB.
			r := newRig(t, newFatLog(1500, 8<<10))
			small := func(c *RelayConfig) { c.MaxBytes = 24 << 20 }
			r.run(small)
			r.halt()

			test.damage(t, r)

			r.boot()
			r.start(small)
			if !slices.Contains(test.rebuilds, "") {
				r.await("the rebuild", func() bool { return r.relay.Status().Rebuilds > 0 })
			}
			r.level()
			r.commit(10)
			r.level()
			s := r.relay.Status()
			if !slices.Contains(test.rebuilds, s.LastRebuild) || len(s.Recovered) != 0 {
				t.Errorf("status: got %+v, want a rebuild because %q", s, test.rebuilds)
			}
			t.Logf("rebuild because %q, %d resyncs, last error %q", s.LastRebuild, s.Resyncs, s.LastError)
			r.verify(1)
		})
	}
}
