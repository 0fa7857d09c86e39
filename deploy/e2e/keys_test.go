package e2e

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/vega-gateway/vega/deploy/stack"
)

const hello = `{"model":"chat","messages":[{"role":"user","content":"hi"}]}`

// keyFace 是一把 key 在管理 API 里的样子。
type keyFace struct {
	ID, Name, Secret string
	ExpiresAt        *time.Time `json:"expires_at"`
	LastUsedAt       *time.Time `json:"last_used_at"`
	Replaces         *keyFace
}

func (r *rig) keyNamed(name string) keyFace {
	r.t.Helper()
	var list []keyFace
	r.call("GET", "/apps/team-a/keys", nil, &list)
	for _, k := range list {
		if k.Name == name {
			return k
		}
	}
	r.t.Fatalf("no key %q in %+v", name, list)
	return keyFace{}
}

func (r *rig) call(method, path string, body, out any) {
	r.t.Helper()
	if err := r.Admin.Call(r.t.Context(), method, path, body, out); err != nil {
		r.t.Fatal(err)
	}
}

// TestKeys_RotateOverlapAndExpire 轮换一把 key：两把都能用，过了重叠期旧的在每个节点上都是 401，新的照用。
func TestKeys_RotateOverlapAndExpire(t *testing.T) {
	r := start(t, stack.Options{Nodes: 2})
	const overlap = 5 * time.Second
	var turned keyFace
	began := time.Now()
	r.call("POST", "/apps/team-a/keys/default/rotate?wait=true", doc{"name": "default-2", "overlap_seconds": int(overlap.Seconds())}, &turned)
	if turned.Secret == "" || turned.Replaces == nil || turned.Replaces.ExpiresAt == nil {
		t.Fatalf("%+v", turned)
	}
	both := 0
	for node := range r.Dataplanes {
		for _, key := range []string{r.key, turned.Secret} {
			if a, err := r.try(node, key, "/chat/completions", hello); err != nil || a.status != http.StatusOK {
				t.Fatalf("node %d while both live: %v %d %s", node, err, a.status, a.body)
			}
			both++
		}
	}
	if took := time.Since(began); took > overlap {
		t.Fatalf("the machine took %s to send %d requests; the overlap is only %s", took, both, overlap)
	}
	r.lastUse(t, began)
	time.Sleep(time.Until(*turned.Replaces.ExpiresAt))
	for node := range r.Dataplanes {
		eventually(t, 2*time.Second, "the old key is refused", func() bool {
			a, err := r.try(node, r.key, "/chat/completions", hello)
			return err == nil && a.status == http.StatusUnauthorized
		})
		if a, err := r.try(node, turned.Secret, "/chat/completions", hello); err != nil || a.status != http.StatusOK {
			t.Errorf("node %d: the new key: %v %d %s", node, err, a.status, a.body)
		}
	}
	fmt.Printf("figures: key_rotation nodes=%d overlap=%s old_refused_after=%s\n", len(r.Dataplanes), overlap, time.Since(*turned.Replaces.ExpiresAt).Round(time.Millisecond))
	r.lengthen(t)
}

// lastUse 要求用过的两把 key 很快有最近使用的时刻，没有用过的没有。
func (r *rig) lastUse(t *testing.T, began time.Time) {
	t.Helper()
	r.call("POST", "/apps/team-a/keys", doc{"name": "idle"}, nil)
	eventually(t, 3*time.Second, "the use of both keys is known", func() bool {
		return r.keyNamed("default").LastUsedAt != nil && r.keyNamed("default-2").LastUsedAt != nil
	})
	at := *r.keyNamed("default-2").LastUsedAt
	if at.Before(began.Add(-time.Minute)) || at.After(time.Now()) || at.Second() != 0 || r.keyNamed("idle").LastUsedAt != nil {
		t.Errorf("last used at %s, begun at %s, idle %+v", at, began, r.keyNamed("idle"))
	}
	var app struct{ Keys []keyFace }
	r.call("GET", "/apps/team-a", nil, &app)
	if len(app.Keys) != 3 || app.Keys[0].LastUsedAt == nil {
		t.Errorf("the app shows %+v", app.Keys)
	}
}

// lengthen 改期限让过期的 key 在每个节点上再活，撤销则让它从此不能用。
func (r *rig) lengthen(t *testing.T) {
	t.Helper()
	r.call("PUT", "/apps/team-a/keys/default?wait=true", doc{"expires_at": nil}, nil)
	for node := range r.Dataplanes {
		if a, err := r.try(node, r.key, "/chat/completions", hello); err != nil || a.status != http.StatusOK {
			t.Errorf("node %d: the lengthened key: %v %d", node, err, a.status)
		}
	}
	r.call("DELETE", "/apps/team-a/keys/default?wait=true", nil, nil)
	if a, err := r.try(0, r.key, "/chat/completions", hello); err != nil || a.status != http.StatusUnauthorized {
		t.Errorf("the revoked key: %v %d", err, a.status)
	}
}
