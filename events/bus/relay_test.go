package bus

import (
	"testing"
)

func TestRelayCopies(t *testing.T) {
	t.Parallel()
	r := newRig(t, newLog(0))
	r.run()
	for range 50 {
		r.commit(7)
	}
	r.commit(3000)
	r.level()
	r.verify(1)
	if s := r.relay.Status(); s.Rebuilds != 0 || s.LastError != "" || s.Lag != 0 {
		t.Errorf("status: got %+v, want no trouble", s)
	}
}
