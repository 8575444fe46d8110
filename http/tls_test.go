package http

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

// certificate makes one that signs itself, as PEM.
func certificate(t *testing.T, host string) (cert, key []byte) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: host}, DNSNames: []string{host},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(90 * 24 * time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	bytes, err := x509.MarshalECPrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: bytes})
}

// trusting is a client's view: one authority, and the name that it asks for.
func trusting(cert []byte, host string) *tls.Config {
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(cert)
	return &tls.Config{RootCAs: pool, ServerName: host}
}

func write(t *testing.T, path string, text []byte) string {
	t.Helper()
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// healthy asks over TLS, and opens a WebSocket over it too.
func healthy(t *testing.T, a *app, config *tls.Config) {
	t.Helper()
	if !strings.HasPrefix(a.url, "https://") {
		t.Errorf("the address is %s, want https", a.url)
	}
	transport := &http.Transport{TLSClientConfig: config}
	defer transport.CloseIdleConnections()
	res, err := (&http.Client{Transport: transport}).Get(a.url + "/health")
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != 200 {
		t.Errorf("health is %d", res.StatusCode)
	}
	dialer := websocket.Dialer{TLSClientConfig: config}
	ws, res, err := dialer.Dial("wss"+strings.TrimPrefix(a.url, "https")+"/ws/connect", http.Header{"Authorization": {"Bearer " + a.user("ann", true)}})
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	ws.Close()
}

func TestTLSByFiles(t *testing.T) {
	t.Parallel()
	cert, key := certificate(t, "board.example")
	dir := t.TempDir()
	a := newApp(t, func(c *Config, _ *Deps) {
		c.TLSCert, c.TLSKey = write(t, filepath.Join(dir, "cert.pem"), cert), write(t, filepath.Join(dir, "key.pem"), key)
	})
	healthy(t, a, trusting(cert, "board.example"))
}

// A certificate that was fetched before serves without asking the authority;
// other names are refused before it is asked.
func TestTLSByACME(t *testing.T) {
	t.Parallel()
	asked := make(chan string, 10)
	authority := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked <- r.URL.Path
		http.Error(w, "closed for good", http.StatusGone) // a 5xx would be asked again
	}))
	defer authority.Close()
	cert, key := certificate(t, "board.example.com")
	dir := t.TempDir()
	write(t, filepath.Join(dir, "board.example.com"), append(key, cert...))
	a := newApp(t, func(c *Config, _ *Deps) {
		c.Autocert, c.CertDir, c.ACMEDirectory = []string{"board.example.com", "fresh.example.com"}, dir, authority.URL
	})
	healthy(t, a, trusting(cert, "board.example.com"))
	dial := func(host string) error {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		conn, err := (&tls.Dialer{Config: trusting(cert, host)}).DialContext(ctx, "tcp", strings.TrimPrefix(a.url, "https://"))
		if err == nil {
			conn.Close()
		}
		return err
	}
	if err := dial("evil.example.com"); err == nil {
		t.Error("a stranger's name got a certificate")
	}
	if len(asked) != 0 {
		t.Errorf("the authority was asked for %s for a stranger's name", <-asked)
	}
	if err := dial("fresh.example.com"); err == nil {
		t.Error("a name without a certificate got one from nowhere")
	}
	if len(asked) == 0 {
		t.Error("the authority was not asked for the certificate of a name of ours")
	}
}
