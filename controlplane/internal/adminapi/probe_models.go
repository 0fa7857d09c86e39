package adminapi

import (
	"context"
	"encoding/json"
	"net/http"
	"time"
)

const (
	maxProbeBody   = 4 << 20
	maxProbeModels = 1000
)

// listModels 请求 <base_url>/models，至多等 limit。
func (p *prober) listModels(ctx context.Context, limit time.Duration) probeResult {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	begin := time.Now()
	got, err := p.call(ctx, http.MethodGet, "/models", "", maxProbeBody)
	r := probeResult{Status: got.status, Models: []string{}}
	if r.Error = p.modelsRefusal(got, err); r.Error == "" {
		r.Models, r.Error = modelsIn(got)
	}
	r.OK, r.LatencyMS = r.Error == "", millisecondsSince(begin)
	return r
}

func (p *prober) modelsRefusal(got reply, err error) string {
	switch {
	case got.status == http.StatusNotFound:
		return "the upstream has no /models here (HTTP 404); base_url usually ends in /v1"
	case got.status != 0 && got.status != http.StatusOK:
		return refusal(got.status)
	case err != nil:
		return p.failure(err)
	}
	return ""
}

func modelsIn(got reply) (models []string, wrong string) {
	models = []string{}
	if got.cut {
		return models, "the list of models is larger than 4 MiB"
	}
	var list struct {
		Data []struct {
			ID string `json:"id"`
		} `json:"data"`
	}
	if err := json.Unmarshal(got.body, &list); err != nil || list.Data == nil {
		return models, "the upstream answered, but not with an OpenAI list of models"
	}
	for _, m := range list.Data[:min(len(list.Data), maxProbeModels)] {
		models = append(models, m.ID)
	}
	return models, ""
}
