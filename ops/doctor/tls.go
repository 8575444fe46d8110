package doctor

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"os"
	"time"
)

// Certificate checks the pair of files: they fit, the key is private, and the
// certificate is good for two more weeks.
func Certificate(certFile, keyFile string, now time.Time) Check {
	return Check{Name: "tls", Look: func(context.Context) Finding {
		pair, err := tls.LoadX509KeyPair(certFile, keyFile)
		if err != nil {
			return Failure("give TLS_CERT and TLS_KEY files that belong together", "%v", err)
		}
		cert, err := x509.ParseCertificate(pair.Certificate[0])
		if err != nil {
			return Failure("renew the certificate", "%v", err)
		}
		left := cert.NotAfter.Sub(now)
		info, err := os.Stat(keyFile)
		switch {
		case err != nil:
			return Failure("make the key readable for the server", "%v", err)
		case left <= 0:
			return Failure("renew the certificate", "the certificate expired at %s", cert.NotAfter.UTC().Format(time.RFC3339))
		case now.Before(cert.NotBefore):
			return Failure("look at the clock of this machine", "the certificate is not good before %s", cert.NotBefore.UTC().Format(time.RFC3339))
		case info.Mode().Perm()&0o077 != 0:
			return Failure("chmod 600 "+keyFile, "other users of this machine can read the key %s", keyFile)
		case left < 14*24*time.Hour:
			return Warning("renew the certificate", "the certificate expires in %d days", int(left.Hours()/24))
		}
		return Okay("the certificate is good until %s", cert.NotAfter.UTC().Format(time.DateOnly))
	}}
}

// Public reports whether a server that listens on host can be reached from other
// machines.
func Public(host string) bool {
	if host == "localhost" {
		return false
	}
	ip := net.ParseIP(host)
	return ip == nil || !ip.IsLoopback()
}
