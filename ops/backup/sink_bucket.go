package backup

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"time"
)

// bucketSink keeps each record as an object of its own, for objects do not grow;
// they have the names that segments have, so that a folder which the bucket was
// copied to is a shipped log too.
type bucketSink struct {
	bucket *Bucket
	logID  string
}

// Ship makes a sink of a bucket.
func (b *Bucket) Ship() Sink { return &bucketSink{bucket: b} }

var _ Sink = (*bucketSink)(nil)

func (s *bucketSink) open(ctx context.Context, logID string) (last link, err error) {
	s.logID = logID
	names, err := s.bucket.segments(ctx, logID)
	if err != nil || len(names) == 0 {
		return last, err
	}
	dir, err := os.MkdirTemp("", checkPrefix)
	if err != nil {
		return last, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	name := names[len(names)-1]
	file := filepath.Join(dir, name)
	if err := s.bucket.Download(ctx, path.Join(logID, name), file); err != nil {
		return last, err
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return last, err
	}
	if last, _, err = readRecord(bytes.NewReader(text)); err != nil {
		return link{}, fmt.Errorf("%w: object %s of bucket %s: %w", ErrDamaged, name, s.bucket.name, err)
	}
	return last, nil
}

func (s *bucketSink) append(ctx context.Context, l link, record []byte) error {
	return s.bucket.put(ctx, path.Join(s.logID, objectName(&l, time.Now())), bytes.NewReader(record), int64(len(record)))
}

func (s *bucketSink) close() error { return nil }

// segments lists the objects of a shipped log in their order.
func (b *Bucket) segments(ctx context.Context, logID string) ([]string, error) {
	names, err := b.list(ctx, logID+"/")
	if err != nil {
		return nil, err
	}
	for i := range names {
		names[i] = path.Base(names[i])
	}
	return sortSegments(names), nil
}

// Fetch copies the shipped log with an id into a folder, where ReadLog finds it.
func (b *Bucket) Fetch(ctx context.Context, logID, dir string) error {
	names, err := b.segments(ctx, logID)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Join(dir, logID), 0o700); err != nil {
		return err
	}
	for _, name := range names {
		if err := b.Download(ctx, path.Join(logID, name), filepath.Join(dir, logID, name)); err != nil {
			return err
		}
	}
	return nil
}
