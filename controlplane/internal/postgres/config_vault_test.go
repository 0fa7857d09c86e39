package postgres

import (
	"bytes"
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/vega-gateway/vega/controlplane/internal/catalog"
	"github.com/vega-gateway/vega/controlplane/internal/seal"
	"github.com/vega-gateway/vega/proto/vegaerr"
)

func TestUnlock_WrongMasterKeyIsFoundAtStart(t *testing.T) {
	_, url := openConfig(t)
	err := openAt(t, url).Unlock(t.Context(), keyring(t, 2))
	var unknown *seal.UnknownKeyError
	if !errors.As(err, &unknown) || !strings.Contains(err.Error(), "VEGA_MASTER_KEY") {
		t.Errorf("got %v", err)
	}
}

func TestUnlock_ReplicasThatStartTogetherShareOnePepper(t *testing.T) {
	first, url := openTest(t)
	stores := []*Store{first, openAt(t, url), openAt(t, url), openAt(t, url)}
	keys := keyring(t, 1)
	var wg sync.WaitGroup
	for _, s := range stores {
		wg.Go(func() {
			if err := s.Unlock(t.Context(), keys); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for _, s := range stores {
		if len(s.Pepper()) != 32 || !bytes.Equal(s.Pepper(), first.Pepper()) || s.Installation() != first.Installation() || s.Installation() == "" {
			t.Error("the replicas disagree")
		}
	}
}

func TestLoad_CredentialMovedToAnotherServerIsRefused(t *testing.T) {
	s, url := openConfig(t)
	applyDoc(t, s, `{"servers": [{"name": "a", "base_url": "http://a", "api_key": "sk-for-server-a"}, {"name": "b", "base_url": "http://b"}]}`, catalog.ApplyOptions{})
	if _, err := sqlConn(t, url).Exec(t.Context(), "UPDATE server_credentials SET server = 'b'"); err != nil {
		t.Fatal(err)
	}
	fresh := openAt(t, url)
	unlock(t, fresh)
	_, err := fresh.Load(t.Context())
	wantCode(t, err, vegaerr.Internal)
	if !errors.Is(err, seal.ErrTampered) {
		t.Errorf("got %v", err)
	}
}
