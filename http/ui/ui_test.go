package ui

import (
	"bytes"
	"io"
	"io/fs"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

func TestSite(t *testing.T) {
	t.Parallel()
	s, err := New()
	if err != nil {
		t.Fatal(err)
	}
	again, err := build()
	if err != nil || again.Sum != s.Sum {
		t.Errorf("a second look has sum %q, %v; the first %q", again.Sum, err, s.Sum)
	}
	page := string(s.Page.Plain)
	for _, at := range s.first() {
		if !strings.Contains(page, `"`+at+`"`) {
			t.Errorf("the page does not name %s", at)
		}
	}
	for at, f := range s.files {
		if f.Media == "" {
			t.Errorf("%s has no media type", at)
		}
		z, err := gzip.NewReader(bytes.NewReader(f.Gzip()))
		if err != nil {
			t.Fatal(err)
		}
		if text, err := io.ReadAll(z); err != nil || !bytes.Equal(text, f.Plain) {
			t.Errorf("%s: gzip holds something else: %v", at, err)
		}
		d, err := zstd.NewReader(nil)
		if err != nil {
			t.Fatal(err)
		}
		if text, err := d.DecodeAll(f.Zstd(), nil); err != nil || !bytes.Equal(text, f.Plain) {
			t.Errorf("%s: zstd holds something else: %v", at, err)
		}
		d.Close()
	}
	if _, ok := s.File(Prefix + "0123/app.js"); ok {
		t.Error("a file of another build is served")
	}
}

// first lists what the page loads at once, for every view.
func (s *Site) first() []string {
	var list []string
	for _, at := range slices.Sorted(maps.Keys(s.files)) {
		if !later(strings.TrimPrefix(at, s.address(""))) {
			list = append(list, at)
		}
	}
	return list
}

// What every view needs must be small; pages with charts bring their own.
func TestFirstLoadIsSmall(t *testing.T) {
	t.Parallel()
	s, err := New()
	if err != nil {
		t.Fatal(err)
	}
	sum := len(s.Page.Gzip())
	for _, at := range s.first() {
		f, _ := s.File(at)
		sum += len(f.Gzip())
	}
	if t.Logf("%d files, %d bytes", len(s.first())+1, sum); sum > 120<<10 { // the rest of 150 is headers and the first replies
		t.Errorf("the first load has %d bytes, want at most 120 KiB", sum)
	}
}

// Nothing asks another server, and nothing that a strict policy refuses is tried.
func TestStaysAtHome(t *testing.T) {
	t.Parallel()
	outside := regexp.MustCompile(`(?:import|from|fetch\(|src=|href=|url\()\s*["'(` + "`" + `]*https?://`)
	unsafe := regexp.MustCompile(`\.innerHTML|\.outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function\(|dangerouslySetInnerHTML|\sstyle="`)
	for name, text := range texts(t) {
		if strings.HasPrefix(name, "vendor/") {
			continue
		}
		if at := outside.FindString(text); at != "" {
			t.Errorf("%s asks another server: %s", name, at)
		}
		if at := unsafe.FindString(text); at != "" {
			t.Errorf("%s has %s", name, at)
		}
	}
}

var (
	defined  = regexp.MustCompile(`(?m)^\s*'([\w.]+)':`)
	quoted   = regexp.MustCompile(`'([\w.]+)'`)
	computed = regexp.MustCompile("[`']([\\w.]*[.\\w])\\$\\{")
	literal  = regexp.MustCompile(`\bt\('([\w.]+)'`)
)

// Every word that is asked for is there, early enough, and once; none is left over.
func TestWords(t *testing.T) {
	t.Parallel()
	all := texts(t)
	words := func(file string) map[string]bool {
		have := map[string]bool{}
		for _, m := range defined.FindAllStringSubmatch(all[file], -1) {
			if have[m[1]] {
				t.Errorf("%s says %s twice", file, m[1])
			}
			have[m[1]] = true
		}
		return have
	}
	first, second := words("lib/strings.js"), words("later/strings.js")
	for key := range second {
		if first[key] {
			t.Errorf("both files have %s", key)
		}
	}
	asked, begun := map[string]bool{}, []string{}
	for name, text := range all {
		if path.Ext(name) != ".js" || strings.HasPrefix(name, "vendor/") {
			continue
		}
		for _, m := range literal.FindAllStringSubmatch(text, -1) {
			if !first[m[1]] && (!strings.HasPrefix(name, "later/") || !second[m[1]]) {
				t.Errorf("%s says %s, which is not there", name, m[1])
			}
		}
		if path.Base(name) == "strings.js" {
			continue
		}
		for _, m := range quoted.FindAllStringSubmatch(text, -1) {
			asked[m[1]] = true
		}
		for _, m := range computed.FindAllStringSubmatch(text, -1) {
			begun = append(begun, m[1])
		}
	}
	asked["time.now"] = true // by ago
	for _, key := range slices.Sorted(maps.Keys(first)) {
		if !asked[key] && !slices.ContainsFunc(begun, func(p string) bool { return strings.HasPrefix(key, p) }) {
			t.Errorf("nothing says %s", key)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(second)) {
		if !asked[key] && !slices.ContainsFunc(begun, func(p string) bool { return strings.HasPrefix(key, p) }) {
			t.Errorf("nothing says %s", key)
		}
	}
}

func texts(t *testing.T) map[string]string {
	t.Helper()
	list, err := names()
	if err != nil {
		t.Fatal(err)
	}
	all := make(map[string]string, len(list))
	for _, name := range list {
		text, err := fs.ReadFile(static, "static/"+name)
		if err != nil {
			t.Fatal(err)
		}
		all[name] = string(text)
	}
	return all
}
