package backup_test

import (
	"bytes"
	"crypto/md5"
	"encoding/hex"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/agent-kanban/agent-kanban/ops/backup"
)

// store is as much of S3 as the client uses, over TLS, in memory.
type store struct {
	server *httptest.Server

	mu      sync.Mutex
	objects map[string][]byte
	parts   map[string]map[int][]byte
	largest int    // part or object that came in one request
	refuse  string // part of the path of requests that are refused
}

func newStore(t testing.TB) *store {
	t.Helper()
	s := &store{objects: map[string][]byte{}, parts: map[string]map[int][]byte{}}
	s.server = httptest.NewTLSServer(s)
	t.Cleanup(s.server.Close)
	return s
}

func (s *store) bucket(t testing.TB, folder string) *backup.Bucket {
	t.Helper()
	b, err := backup.NewBucket(backup.BucketConfig{
		Address: s.server.URL + "/kanban" + folder, KeyID: "key", Secret: "very-secret", Region: "eu-central-1",
		Transport: s.server.Client().Transport,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.server.Client().CloseIdleConnections)
	return b
}

func (s *store) get(name string) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.objects[name]
}

func (s *store) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	name := strings.TrimPrefix(r.URL.Path, "/kanban/")
	query := r.URL.Query()
	body, _ := io.ReadAll(r.Body)
	s.largest = max(s.largest, len(body))
	switch {
	case !strings.Contains(r.Header.Get("Authorization"), "Credential=key/"), s.refuse != "" && strings.Contains(r.URL.Path, s.refuse):
		w.WriteHeader(http.StatusForbidden)
		fmt.Fprint(w, `<Error><Code>AccessDenied</Code><Message>Access Denied.</Message></Error>`)
	case r.Method == http.MethodPost && query.Has("uploads"):
		s.parts[name] = map[int][]byte{}
		fmt.Fprintf(w, `<InitiateMultipartUploadResult><Bucket>kanban</Bucket><Key>%s</Key><UploadId>1</UploadId></InitiateMultipartUploadResult>`, name)
	case r.Method == http.MethodPut && query.Has("partNumber"):
		number, _ := strconv.Atoi(query.Get("partNumber"))
		s.parts[name][number] = body
		w.Header().Set("ETag", etag(body))
	case r.Method == http.MethodPost:
		var whole []byte
		for i := 1; i <= len(s.parts[name]); i++ {
			whole = append(whole, s.parts[name][i]...)
		}
		s.objects[name] = whole
		fmt.Fprintf(w, `<CompleteMultipartUploadResult><Bucket>kanban</Bucket><Key>%s</Key><ETag>%s</ETag></CompleteMultipartUploadResult>`, name, etag(whole))
	case r.Method == http.MethodPut:
		s.objects[name] = body
		w.Header().Set("ETag", etag(body))
	case query.Has("list-type"):
		s.list(w, query.Get("prefix"))
	case s.objects[name] == nil:
		w.WriteHeader(http.StatusNotFound)
	default:
		w.Header().Set("ETag", etag(s.objects[name]))
		w.Header().Set("Last-Modified", "Sat, 15 Aug 2026 02:00:00 GMT")
		http.ServeContent(w, r, "", fixed, bytes.NewReader(s.objects[name]))
	}
}

func (s *store) list(w io.Writer, prefix string) {
	type content struct {
		Key          string
		LastModified string
		Size         int
	}
	var page struct {
		XMLName  xml.Name `xml:"ListBucketResult"`
		Name     string
		Contents []content
	}
	page.Name = "kanban"
	for name, text := range s.objects {
		if strings.HasPrefix(name, prefix) {
			page.Contents = append(page.Contents, content{name, "2026-08-15T02:00:00.000Z", len(text)})
		}
	}
	slices.SortFunc(page.Contents, func(a, b content) int { return strings.Compare(a.Key, b.Key) })
	_ = xml.NewEncoder(w).Encode(page)
}

func etag(text []byte) string {
	sum := md5.Sum(text)
	return `"` + hex.EncodeToString(sum[:]) + `"`
}
