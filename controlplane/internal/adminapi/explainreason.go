package adminapi

import (
	"time"

	"github.com/vega-gateway/vega/controlplane/internal/explain"
)

// explainedReason 是一句缘由；码用不到的数不写。
type explainedReason struct {
	Code     explain.ReasonCode `json:"code"`
	Count    int64              `json:"count,omitempty"`
	Limit    int64              `json:"limit,omitempty"`
	Nodes    int64              `json:"nodes,omitempty"`
	Priority *int64             `json:"priority,omitempty"` // 0 也是一层
	Cause    string             `json:"cause,omitempty"`
	Model    string             `json:"model,omitempty"`
	Fallback string             `json:"fallback,omitempty"`
	Servers  []string           `json:"servers,omitempty"`
	Models   []string           `json:"models,omitempty"`
	Until    *time.Time         `json:"until,omitempty"`
}

func reasonRows(reasons []explain.Reason) []explainedReason {
	rows := make([]explainedReason, 0, len(reasons))
	for i := range reasons {
		rows = append(rows, *reasonRow(&reasons[i]))
	}
	return rows
}

func reasonRow(r *explain.Reason) *explainedReason {
	if r == nil {
		return nil
	}
	row := &explainedReason{
		Code: r.Code, Count: r.Count, Limit: r.Limit, Nodes: r.Nodes, Cause: r.Cause, Model: r.Model, Fallback: r.Fallback,
		Servers: r.Servers, Models: r.Models,
	}
	if r.Code == explain.Starts {
		row.Priority = &r.Priority
	}
	if !r.Until.IsZero() {
		until := r.Until.UTC()
		row.Until = &until
	}
	return row
}
