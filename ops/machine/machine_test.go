package machine

import (
	"os"
	"path/filepath"
	"testing"
)

func TestDisk(t *testing.T) {
	t.Parallel()
	s, err := Disk(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if s.Total <= 0 || s.Free < 0 || s.Free > s.Total || s.Used() < 0 || s.Used() > 1 {
		t.Errorf("Disk = %+v, used %v", s, s.Used())
	}
	if _, err := Disk(filepath.Join(t.TempDir(), "nowhere")); err == nil {
		t.Error("Disk of a path that does not exist gave no error")
	}
}

func TestProcessMemoryGrowsWithUse(t *testing.T) {
	t.Parallel()
	before, err := ProcessMemory()
	if err != nil {
		t.Fatal(err)
	}
	block := make([]byte, 64<<20)
	for i := 0; i < len(block); i += 4096 {
		block[i] = 1
	}
	after, err := ProcessMemory()
	if err != nil {
		t.Fatal(err)
	}
	if before.RSS <= 0 || after.Peak < before.RSS+32<<20 || block[4096] != 1 {
		t.Errorf("before %+v, after %+v", before, after)
	}
}

func TestSizes(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "a", "b"), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, n := range map[string]int{"x": 10, "a/y": 200, "a/b/z": 3000} {
		if err := os.WriteFile(filepath.Join(dir, name), make([]byte, n), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if n, err := FolderSize(dir); n != 3210 || err != nil {
		t.Errorf("FolderSize = %d, %v, want 3210", n, err)
	}
	if n, err := FileSize(filepath.Join(dir, "a", "y")); n != 200 || err != nil {
		t.Errorf("FileSize = %d, %v, want 200", n, err)
	}
	if n, err := FileSize(filepath.Join(dir, "none")); n != 0 || err != nil {
		t.Errorf("FileSize of nothing = %d, %v, want 0", n, err)
	}
	if n, err := FolderSize(filepath.Join(dir, "none")); n != 0 || err != nil {
		t.Errorf("FolderSize of nothing = %d, %v, want 0", n, err)
	}
}
