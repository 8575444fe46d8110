package webhook

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/agent-kanban/agent-kanban/auth"
)

// KeepOld is how long a secret that was replaced still signs, beside the new one.
const KeepOld = 24 * time.Hour

const secretPrefix = "whsec_"

// NewSecret returns a fresh signing secret: whsec_ and 32 random bytes in base64.
func NewSecret() auth.Secret {
	var key [32]byte
	_, _ = rand.Read(key[:]) // never fails: crypto/rand ends the program instead
	return auth.SecretOf(secretPrefix + base64.StdEncoding.EncodeToString(key[:]))
}

// sign sets the headers of Standard Webhooks, with one signature per secret and
// none without.
func sign(h http.Header, id string, at time.Time, body []byte, secrets []auth.Secret) error {
	signatures := make([]string, len(secrets))
	for i, secret := range secrets {
		signer, err := standardwebhooks.NewWebhook(secret.Reveal())
		if err != nil {
			// The library's error may repeat what it could not read.
			return fmt.Errorf("sign %s: the stored secret is not one of NewSecret", id)
		}
		if signatures[i], err = signer.Sign(id, at, body); err != nil {
			return fmt.Errorf("sign %s: %w", id, err)
		}
	}
	h.Set(standardwebhooks.HeaderWebhookID, id)
	h.Set(standardwebhooks.HeaderWebhookTimestamp, strconv.FormatInt(at.Unix(), 10))
	if len(signatures) > 0 {
		h.Set(standardwebhooks.HeaderWebhookSignature, strings.Join(signatures, " "))
	}
	return nil
}
