package mcp

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"time"
)

// inProcess carries the requests of a client to a handler in the same process,
// as if the caller of outer had sent them: with its credential, and from its
// address, so that limits and logs see who it is.
type inProcess struct {
	api       http.Handler
	outer     *http.Request
	requestID string
	// pause is between attempts.
	pause time.Duration
}

var _ http.RoundTripper = (*inProcess)(nil)

// passedOn are the headers of the outer request that say who calls, and on
// behalf of what.
var passedOn = []string{
	"Authorization", "Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Real-Ip", "Via", "Traceparent", "Tracestate",
}

// attempts is how often a request is made that is answered with "in a moment":
// the read model lags, and the command has happened. Its Idempotency-Key makes
// that safe, and the model must not do it twice because it was told of a fault.
// 429 is passed on, so that a runaway is told.
const attempts = 3

// RoundTrip implements http.RoundTripper.
func (t *inProcess) RoundTrip(r *http.Request) (*http.Response, error) {
	for attempt := 1; ; attempt++ {
		res, err := t.once(r)
		if err != nil || res.StatusCode != http.StatusServiceUnavailable || attempt == attempts {
			return res, err
		}
		timer := time.NewTimer(t.pause)
		select {
		case <-timer.C:
		case <-r.Context().Done():
			timer.Stop()
			return res, nil
		}
		if r.GetBody != nil {
			if r.Body, err = r.GetBody(); err != nil {
				return nil, err
			}
		}
	}
}

func (t *inProcess) once(r *http.Request) (res *http.Response, err error) {
	in := r.Clone(r.Context())
	in.RemoteAddr, in.TLS = t.outer.RemoteAddr, t.outer.TLS
	in.RequestURI = in.URL.RequestURI()
	if in.Body == nil {
		in.Body = http.NoBody // a server's requests always have one
	}
	for _, name := range passedOn {
		if values := t.outer.Header.Values(name); len(values) > 0 {
			in.Header[name] = values
		}
	}
	if t.requestID != "" {
		in.Header.Set("X-Request-Id", t.requestID)
	}
	w := &recorder{header: make(http.Header)}
	defer in.Body.Close()
	defer func() {
		if v := recover(); v != nil { // http.ErrAbortHandler alone comes this far
			res, err = nil, fmt.Errorf("the handler gave up: %v", v)
		}
	}()
	t.api.ServeHTTP(w, in)
	if w.status == 0 {
		w.status = http.StatusOK
	}
	return &http.Response{
		Status: fmt.Sprintf("%d %s", w.status, http.StatusText(w.status)), StatusCode: w.status,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: w.header,
		Body: io.NopCloser(&w.body), ContentLength: int64(w.body.Len()), Request: r,
	}, nil
}

// recorder keeps a reply in memory.
type recorder struct {
	header http.Header
	status int
	body   bytes.Buffer
}

// Header implements http.ResponseWriter.
func (w *recorder) Header() http.Header { return w.header }

// WriteHeader implements http.ResponseWriter.
func (w *recorder) WriteHeader(status int) {
	if w.status == 0 && status >= http.StatusOK {
		w.status = status
	}
}

// Write implements http.ResponseWriter.
func (w *recorder) Write(p []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	return w.body.Write(p)
}
