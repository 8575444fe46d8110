package backup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path"
	"strings"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

// BucketConfig says which bucket, and who we are there. Address is required.
type BucketConfig struct {
	// Address is https://host/bucket/folder; the folder may be missing.
	Address string
	// KeyID, Secret, Token and Region are what AWS_ACCESS_KEY_ID and its kin say.
	KeyID, Secret, Token, Region string
	// Transport is for tests; nil = that of the S3 client.
	Transport http.RoundTripper
}

// Bucket is a folder of an object store that speaks S3.
type Bucket struct {
	client *minio.Client
	name   string
	folder string
}

// partSize of an upload, in bytes: what is larger goes in parts of it. Without
// it the client prepares for five terabytes, with half a gigabyte of memory.
const partSize = 16 << 20

// NewBucket connects to nothing yet. Errors never contain the secret.
func NewBucket(c BucketConfig) (*Bucket, error) {
	u, err := url.Parse(c.Address)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return nil, errors.New("the address of a bucket is like https://s3.example.com/bucket/folder")
	}
	if u.User != nil || u.RawQuery != "" {
		return nil, errors.New("credentials do not belong into the address of a bucket; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")
	}
	name, folder, _ := strings.Cut(strings.Trim(u.Path, "/"), "/")
	if name == "" {
		return nil, fmt.Errorf("the address %s names no bucket; want %s://%s/bucket", c.Address, u.Scheme, u.Host)
	}
	if c.KeyID == "" || c.Secret == "" {
		return nil, errors.New("a bucket needs AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the environment")
	}
	client, err := minio.New(u.Host, &minio.Options{
		Creds: credentials.NewStaticV4(c.KeyID, c.Secret, c.Token), Secure: u.Scheme == "https", Region: c.Region,
		Transport: c.Transport, MaxRetries: 3,
	})
	if err != nil {
		return nil, fmt.Errorf("bucket %s: %w", name, err)
	}
	return &Bucket{client: client, name: name, folder: folder}, nil
}

func (b *Bucket) key(name string) string { return path.Join(b.folder, name) }

// Upload stores a file under a name, completely or not at all.
func (b *Bucket) Upload(ctx context.Context, file, name string) error {
	in, err := os.Open(file)
	if err != nil {
		return err
	}
	defer in.Close()
	info, err := in.Stat()
	if err != nil {
		return err
	}
	return b.put(ctx, name, in, info.Size())
}

func (b *Bucket) put(ctx context.Context, name string, in io.Reader, size int64) error {
	_, err := b.client.PutObject(ctx, b.name, b.key(name), in, size, minio.PutObjectOptions{
		PartSize: partSize, NumThreads: 1, ContentType: "application/octet-stream",
	})
	if err != nil {
		return fmt.Errorf("upload %s to bucket %s: %w", b.key(name), b.name, err)
	}
	return nil
}

// list returns the names below a prefix, in their order.
func (b *Bucket) list(ctx context.Context, prefix string) (names []string, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // ends the listing where this returns early
	folder := b.key("")
	if folder != "" {
		folder += "/"
	}
	for object := range b.client.ListObjects(ctx, b.name, minio.ListObjectsOptions{Prefix: folder + prefix, Recursive: true}) {
		if object.Err != nil {
			return nil, fmt.Errorf("list bucket %s: %w", b.name, object.Err)
		}
		names = append(names, strings.TrimPrefix(object.Key, folder))
	}
	return names, ctx.Err()
}

// Download writes an object to a file.
func (b *Bucket) Download(ctx context.Context, name, file string) error {
	if err := b.client.FGetObject(ctx, b.name, b.key(name), file, minio.GetObjectOptions{}); err != nil {
		return fmt.Errorf("download %s from bucket %s: %w", b.key(name), b.name, err)
	}
	return nil
}
