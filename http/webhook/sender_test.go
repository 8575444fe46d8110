package webhook

import (
	"context"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/agent-kanban/agent-kanban/auth"
	"github.com/agent-kanban/agent-kanban/events"
)

func TestPublic(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		"93.184.215.14": true, "8.8.8.8": true, "172.15.255.255": true, "172.32.0.1": true, "100.63.255.255": true, "100.128.0.1": true, "223.255.255.255": true,
		"2606:2800:21f:cb07:6820:80da:af6b:8b2c": true, "2a00:1450::1": true,
		"::ffff:8.8.8.8": true, "64:ff9b::808:808": true, "2002:808:808::1": true,

		"0.0.0.0": false, "0.1.2.3": false, "10.0.0.1": false, "127.0.0.1": false, "127.255.255.254": false, "172.16.0.1": false, "172.31.255.255": false,
		"192.168.1.1": false, "169.254.169.254": false, "100.64.0.1": false, "100.100.100.200": false, "168.63.129.16": false, "192.0.0.192": false,
		"192.0.2.1": false, "198.18.0.1": false, "198.51.100.1": false, "203.0.113.1": false, "224.0.0.1": false, "239.255.255.255": false, "240.0.0.1": false, "255.255.255.255": false,

		"::": false, "::1": false, "fe80::1": false, "fe80::1%eth0": false, "fec0::1": false, "fc00::1": false, "fd00:ec2::254": false, "ff02::1": false,
		"2001:db8::1": false, "2001::1": false, "3fff::1": false, "100::1": false,
		"::ffff:127.0.0.1": false, "::ffff:10.0.0.1": false, "::ffff:169.254.169.254": false, "::127.0.0.1": false,
		"64:ff9b::7f00:1": false, "64:ff9b::a9fe:a9fe": false, "64:ff9b:1::1": false, "2002:7f00:1::1": false, "2002:a00:1::": false,
	} {
		if got := public(netip.MustParseAddr(text)); got != want {
			t.Errorf("%s is public: got %v, want %v", text, got, want)
		}
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	allow, err := ParseAllow([]string{"hooks.internal", "build.internal:8080", "10.1.0.0/16", "127.0.0.1", "[::1]:9000"})
	if err != nil {
		t.Fatal(err)
	}
	for address, want := range map[string]string{
		"https://Hooks.Example/kanban?key=1": "hooks.example",
		"https://hooks.example:8443/":        "hooks.example:8443",
		"https://93.184.215.14/x":            "93.184.215.14",
		"http://hooks.internal/x":            "hooks.internal",
		"http://hooks.internal.:81/x":        "hooks.internal.:81",
		"http://build.internal:8080/x":       "build.internal:8080",
		"http://10.1.2.3/x":                  "10.1.2.3",
		"https://[::ffff:10.1.2.3]/x":        "[::ffff:10.1.2.3]",
		"http://127.0.0.1:9999/x":            "127.0.0.1:9999",
		"http://[::1]:9000/x":                "[::1]:9000",

		"":                                         "",
		"hooks.example/x":                          "",
		"/x":                                       "",
		"https:///x":                               "",
		"https:hooks.example":                      "",
		"ftp://hooks.example/x":                    "",
		"file:///etc/passwd":                       "",
		"http://hooks.example/x":                   "", // no TLS
		"http://build.internal:8081/x":             "", // another port
		"http://[::1]:9001/x":                      "",
		"https://[::1]/x":                          "",
		"https://user@hooks.example/":              "",
		"https://a:b@hooks.internal/":              "",
		"https://hooks.example/#part":              "",
		"https://hooks.example:0/":                 "",
		"https://hooks.example:70000/":             "",
		"https://hooks.example:/":                  "",
		"https://10.2.0.1/":                        "",
		"https://192.168.0.1/":                     "",
		"https://169.254.169.254/latest":           "",
		"https://[fe80::1%25eth0]/":                "",
		"https://[::ffff:192.168.0.1]/":            "",
		"https://h/" + strings.Repeat("x", maxURL): "",
	} {
		got, err := allow.Check(address)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%.60s: got host %q (%v), want %q", address, got, err, want)
		}
		if err != nil && (events.CodeOf(err) != events.CodeInvalid || address != "" && strings.Contains(err.Error(), address)) {
			t.Errorf("%.60s: got %v, want an invalid that does not repeat the address", address, err)
		}
	}
	if _, err := ParseAllow([]string{"ok", "http://a/", "a b", "*.example", "10.0.0.0/99", "host:99999", ""}); err == nil || strings.Count(err.Error(), "\n") != 5 {
		t.Errorf("items that cannot be: got %v, want all six named", err)
	}
}

// newTestSender is one on the real clock.
func newTestSender(t *testing.T, c Config) *sender {
	t.Helper()
	s := newSender(c.withDefaults())
	t.Cleanup(s.close)
	return s
}

func (s *sender) post(t *testing.T, address string) Outcome {
	t.Helper()
	return s.send(t.Context(), auth.SecretOf(address), []auth.Secret{NewSecret()}, "id", []byte("{}"))
}

// names is a DNS server: each question about a host takes the next of its
// answers; the last one stays.
type names struct {
	answers []netip.Addr
	asked   atomic.Int64
}

func (n *names) resolver() *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		client, server := net.Pipe()
		go n.serve(server)
		return client, nil
	}}
}

// serve speaks DNS over a stream: each message behind its length.
func (n *names) serve(conn net.Conn) {
	defer conn.Close()
	for {
		var size [2]byte
		if _, err := io.ReadFull(conn, size[:]); err != nil {
			return
		}
		query := make([]byte, binary.BigEndian.Uint16(size[:]))
		if _, err := io.ReadFull(conn, query); err != nil {
			return
		}
		var m dnsmessage.Message
		if err := m.Unpack(query); err != nil {
			return
		}
		m.Response, m.RecursionAvailable, m.Additionals = true, true, nil
		q := m.Questions[0]
		if q.Type == dnsmessage.TypeA {
			i := min(int(n.asked.Add(1)), len(n.answers)) - 1
			m.Answers = []dnsmessage.Resource{{
				Header: dnsmessage.ResourceHeader{Name: q.Name, Class: dnsmessage.ClassINET},
				Body:   &dnsmessage.AResource{A: n.answers[i].As4()},
			}}
		}
		reply, err := m.Pack()
		if err != nil {
			return
		}
		if _, err := conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(reply))), reply...)); err != nil {
			return
		}
	}
}

// TestPrivateAddressesAreRefusedAtDialTime: whatever the name says.
func TestPrivateAddressesAreRefusedAtDialTime(t *testing.T) {
	t.Parallel()
	r := receive(t, nil)
	_, port, _ := net.SplitHostPort(mustParse(t, r.url).Host)
	loopback := netip.MustParseAddr("127.0.0.1")
	// The name is judged by every answer anew.
	rebinding := &names{answers: []netip.Addr{netip.MustParseAddr("93.184.215.14"), loopback}}
	s := newTestSender(t, Config{Resolver: rebinding.resolver()})
	dial := func(host string) error {
		c, err := s.dial(t.Context(), "tcp4", net.JoinHostPort(host, port))
		if err == nil {
			c.Close()
		}
		return err
	}
	first, err := s.dialer.Resolver.LookupNetIP(t.Context(), "ip4", "rebind.example")
	if err != nil || len(first) != 1 || !public(first[0]) {
		t.Fatalf("first answer: got %v (%v), want a public address", first, err)
	}
	if err := dial("rebind.example"); !errors.Is(err, errPrivate) {
		t.Errorf("second answer, loopback: got %v, want a refusal", err)
	}
	for _, host := range []string{"127.0.0.1", "::1", "::ffff:127.0.0.1", "0.0.0.0", "169.254.169.254", "10.0.0.1", "fe80::1", "fd00:ec2::254"} {
		if _, err := s.dial(t.Context(), "tcp", net.JoinHostPort(host, port)); !errors.Is(err, errPrivate) {
			t.Errorf("%s: got %v, want a refusal", host, err)
		}
	}
	out := s.post(t, "https://rebind.example:"+port+"/T0PS3CRET")
	if !strings.Contains(out.Error, "private address") || strings.Contains(out.Error, "T0PS3CRET") || strings.Contains(out.Error, "127.0.0.1") {
		t.Errorf("outcome: got %q, want a private address refused, not named", out.Error)
	}
	if out := s.post(t, r.url); !strings.Contains(out.Error, "https://") {
		t.Errorf("plain http: got %+v, want a refusal", out)
	}
	if n := len(r.got); n != 0 {
		t.Errorf("the private receiver got %d messages, want none", n)
	}
	// Allowed by name, or by the network that the name leads to.
	for _, item := range []string{"rebind.example", "rebind.example:" + port} {
		allow, err := ParseAllow([]string{item})
		if err != nil {
			t.Fatal(err)
		}
		s := newTestSender(t, Config{Allow: allow, Resolver: (&names{answers: []netip.Addr{loopback}}).resolver()})
		if out := s.post(t, "http://rebind.example:"+port+"/"); !out.OK() {
			t.Errorf("allowed %s: got %+v", item, out)
		}
	}
	allow, err := ParseAllow([]string{"127.0.0.0/8"})
	if err != nil {
		t.Fatal(err)
	}
	s = newTestSender(t, Config{Allow: allow, Resolver: (&names{answers: []netip.Addr{loopback}}).resolver()})
	if err := dial("rebind.example"); err != nil {
		t.Errorf("allowed network: got %v", err)
	}
	if out := s.post(t, "http://rebind.example:"+port+"/"); out.OK() {
		t.Error("a network alone allowed plain http to a name")
	}
}

func mustParse(t *testing.T, address string) *url.URL {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	t.Parallel()
	allow, err := ParseAllow([]string{"127.0.0.1"})
	if err != nil {
		t.Fatal(err)
	}
	s := newTestSender(t, Config{Allow: allow})
	target := receive(t, nil)
	for _, code := range []int{301, 302, 303, 307, 308} {
		r := receive(t, func(w http.ResponseWriter, _ message) {
			w.Header().Set("Location", target.url)
			w.WriteHeader(code)
		})
		if out := s.post(t, r.url); out.OK() || out.Status != code || !strings.Contains(out.Error, "redirects") {
			t.Errorf("%d: got %+v, want a failure that says so", code, out)
		}
	}
	if n := len(target.got); n != 0 {
		t.Errorf("the target got %d messages, want none", n)
	}
}

func TestTLSAndTimeouts(t *testing.T) {
	t.Parallel()
	allow, err := ParseAllow([]string{"127.0.0.1"})
	if err != nil {
		t.Fatal(err)
	}
	hold := make(chan struct{})
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			<-hold
		}
	}))
	srv.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelInfo)
	srv.StartTLS()
	t.Cleanup(srv.Close)
	t.Cleanup(func() { close(hold) })
	roots := x509.NewCertPool()
	roots.AddCert(srv.Certificate())
	s := newTestSender(t, Config{Allow: allow, RootCAs: roots})
	if out := s.post(t, srv.URL+"/"); !out.OK() {
		t.Errorf("a certificate that is trusted: got %+v", out)
	}
	s.whole = 50 * time.Millisecond
	if out := s.post(t, srv.URL+"/slow"); out.Error != "no reply within 15s" {
		t.Errorf("slow: got %+v, want a time-out", out)
	}
	if out := newTestSender(t, Config{Allow: allow}).post(t, srv.URL+"/T0PS3CRET"); out.OK() || strings.Contains(out.Error, "T0PS3CRET") {
		t.Errorf("a certificate that is not trusted: got %+v", out)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := ln.Addr().String()
	ln.Close()
	if out := s.post(t, "https://"+closed+"/T0PS3CRET"); !out.absent() || strings.Contains(out.Error, "T0PS3CRET") {
		t.Errorf("nobody listens: got %+v", out)
	}
}

// TestNothingPrintsSecrets: not the row, not its parts.
func TestNothingPrintsSecrets(t *testing.T) {
	t.Parallel()
	w := Webhook{URL: auth.SecretOf("https://hooks.example/T0PS3CRET"), Secret: NewSecret(), OldSecret: NewSecret()}
	for _, format := range []string{"%v", "%+v", "%#v", "%s"} {
		text := fmt.Sprintf(format, w) + fmt.Sprintf(format, &w)
		if strings.Contains(text, "T0PS3CRET") || strings.Contains(text, "whsec_") {
			t.Errorf("%s: got %s", format, text)
		}
	}
	if got := w.Masked(); got != "https://hooks.example/…" {
		t.Errorf("masked: got %q", got)
	}
	if got := (&Webhook{URL: auth.SecretOf("https://hooks.example")}).Masked(); got != "https://hooks.example" {
		t.Errorf("masked without a path: got %q", got)
	}
}
