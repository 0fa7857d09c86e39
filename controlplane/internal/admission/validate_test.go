package admission

import (
	"math"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	admissionv1 "github.com/vega-gateway/vega/proto/gen/go/vega/admission/v1"
	"github.com/vega-gateway/vega/proto/schedule"
	"github.com/vega-gateway/vega/proto/vegaerr"
)

func gpu() *admissionv1.Pool {
	return &admissionv1.Pool{Server: "gpu-1", Kind: admissionv1.PoolKind_POOL_KIND_TOKENS}
}

// whole 是每一栏都有的一帧。
func whole() *admissionv1.AdmitRequest {
	amounts := []*admissionv1.Amount{{Pool: gpu(), Units: 3, GrantedUs: 1}, {Pool: &admissionv1.Pool{App: "团队/a", Kind: admissionv1.PoolKind_POOL_KIND_REQUESTS}}}
	return &admissionv1.AdmitRequest{
		NodeId: "n1", Epoch: math.MaxUint64, Term: 7, Stream: 1, Seq: 1, Revision: 3, SentUs: 12,
		Hello: &admissionv1.Hello{Version: "v1.2.3", Holdings: amounts}, Claims: amounts, Returns: amounts,
		Settled: []*admissionv1.Settled{{Pool: gpu(), Reserved: 9, Used: 12}},
		Served:  []*admissionv1.Served{{Server: "gpu-1", App: "a", Class: 2, Weight: 1, Cost: -40, Requests: 2, BusyUs: 5}},
		Cancels: []uint64{1, 2},
		Waiters: []*admissionv1.Descriptor{{Id: 1, App: "a", AgeUs: -3, WaitUs: 4, Weight: 1, Candidates: []*admissionv1.Candidate{{Server: "gpu-1", UpstreamModel: "org/model", Weight: 1}}}},
		Demands: &admissionv1.Demands{Amounts: amounts},
		Busy:    &admissionv1.Busy{Amounts: amounts},
		Pauses:  []*admissionv1.Pause{{Server: "gpu-1", UpstreamModel: "m", ForUs: 1_000_000}},
		Bye:     true,
	}
}

func TestCheckHello_AcceptsEverythingThatIsInOrder(t *testing.T) {
	if err := checkHello(whole()); err != nil {
		t.Fatal(err)
	}
}

func TestCheckHello_RefusesWhatIsNot(t *testing.T) {
	for name, spoil := range map[string]func(*admissionv1.AdmitRequest){
		"no hello":         func(r *admissionv1.AdmitRequest) { r.Hello = nil },
		"no node id":       func(r *admissionv1.AdmitRequest) { r.NodeId = "" },
		"node id":          func(r *admissionv1.AdmitRequest) { r.NodeId = "N 1" },
		"sent_us":          func(r *admissionv1.AdmitRequest) { r.SentUs = -1 },
		"version":          func(r *admissionv1.AdmitRequest) { r.Hello.Version = strings.Repeat("v", 257) },
		"holding":          func(r *admissionv1.AdmitRequest) { r.Hello.Holdings[0].Units = -1 },
		"huge holding":     func(r *admissionv1.AdmitRequest) { r.Hello.Holdings[0].Units = 1<<40 + 1 },
		"granted_us":       func(r *admissionv1.AdmitRequest) { r.Returns[0].GrantedUs = -1 },
		"no pool":          func(r *admissionv1.AdmitRequest) { r.Returns[0].Pool = nil },
		"pool of two":      func(r *admissionv1.AdmitRequest) { r.Claims[0].Pool.App = "a" },
		"unspecified kind": func(r *admissionv1.AdmitRequest) { r.Demands.Amounts[0].Pool.Kind = 0 },
		"unknown kind":     func(r *admissionv1.AdmitRequest) { r.Busy.Amounts[0].Pool.Kind = 4 },
		"negative kind":    func(r *admissionv1.AdmitRequest) { r.Settled[0].Pool.Kind = -1 },
		"settled":          func(r *admissionv1.AdmitRequest) { r.Settled[0].Used = -1 },
		"served requests":  func(r *admissionv1.AdmitRequest) { r.Served[0].Requests = -1 },
		"served busy":      func(r *admissionv1.AdmitRequest) { r.Served[0].BusyUs = math.MinInt64 },
		"served cost":      func(r *admissionv1.AdmitRequest) { r.Served[0].Cost = math.MinInt64 },
		"served nowhere":   func(r *admissionv1.AdmitRequest) { r.Served[0].Server = "" },
		"weight":           func(r *admissionv1.AdmitRequest) { r.Waiters[0].Weight = -1 },
		"wait":             func(r *admissionv1.AdmitRequest) { r.Waiters[0].WaitUs = -1 },
		"age":              func(r *admissionv1.AdmitRequest) { r.Waiters[0].AgeUs = math.MinInt64 },
		"prompt":           func(r *admissionv1.AdmitRequest) { r.Waiters[0].PromptTokens = -1 },
		"output":           func(r *admissionv1.AdmitRequest) { r.Waiters[0].OutputTokens = 1 << 41 },
		"candidate":        func(r *admissionv1.AdmitRequest) { r.Waiters[0].Candidates[0].Server = "" },
		"long name":        func(r *admissionv1.AdmitRequest) { r.Waiters[0].Candidates[0].UpstreamModel = strings.Repeat("m", 600) },
		"priority":         func(r *admissionv1.AdmitRequest) { r.Waiters[0].Candidates[0].Priority = -1 },
		"many candidates": func(r *admissionv1.AdmitRequest) {
			r.Waiters[0].Candidates = make([]*admissionv1.Candidate, maxCandidates+1)
		},
		"many waiters":     func(r *admissionv1.AdmitRequest) { r.Waiters = make([]*admissionv1.Descriptor, maxItems+1) },
		"many cancels":     func(r *admissionv1.AdmitRequest) { r.Cancels = make([]uint64, maxItems+1) },
		"pause":            func(r *admissionv1.AdmitRequest) { r.Pauses[0].ForUs = -1 },
		"pause of nothing": func(r *admissionv1.AdmitRequest) { r.Pauses[0].Server = "" },
	} {
		r := proto.Clone(whole()).(*admissionv1.AdmitRequest)
		spoil(r)
		if err := checkHello(r); vegaerr.CodeOf(err) != vegaerr.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestCheckTerm_BelievesOnlyWhatTheNextTermsCanReach(t *testing.T) {
	for _, c := range []struct {
		term, known uint64
		ok          bool
	}{
		{0, 0, true}, {7, 0, true}, {1 << 20, 0, true}, {1<<20 + 1, 0, false}, {1 << 62, 3, false}, {math.MaxUint64, 3, false},
		{5<<20 + 7, 4<<20 + 7, true}, {5<<20 + 8, 4<<20 + 7, false}, {1<<31 + 1, 1<<31 - 1, false}, {1 << 31, 1<<31 - 1, true},
		{1 << 40, 1 << 40, true}, // 表里已经这么大：自己的任期总要认
	} {
		if err := checkTerm(c.term, c.known); (err == nil) != c.ok || err != nil && vegaerr.CodeOf(err) != vegaerr.Invalid {
			t.Errorf("term %d over %d: %v", c.term, c.known, err)
		}
	}
}

// 任何过了检查的首帧交给真的授予者都不会使它 panic。
func FuzzCheckHello_WhatPassesDoesNotBreakTheGrantor(f *testing.F) {
	seed, err := proto.Marshal(whole())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(seed)
	f.Fuzz(func(t *testing.T, data []byte) {
		var r admissionv1.AdmitRequest
		if proto.Unmarshal(data, &r) != nil || checkHello(&r) != nil || checkTerm(r.GetTerm(), maxTerm) != nil {
			return
		}
		g := schedule.NewGrantor(schedule.GrantorConfig{Term: maxTerm, Now: 1, First: true})
		g.Step(1, schedule.Reconfigured{Spec: &schedule.Spec{Revision: 1, Servers: []schedule.ServerSpec{{Name: "gpu-1", Total: time.Minute,
			Limits: schedule.Limits{MaxConcurrency: 4, RequestsPerMinute: 60, TokensPerMinute: 1000}, BurstPercent: 10}}}})
		for _, e := range g.Step(2, schedule.Heard{Conn: 1, Request: &r}) {
			if e.Kind == schedule.Save {
				g.Step(3, schedule.Saved{ID: e.ID})
			}
		}
		for range 5 {
			g.Step(g.Next()+1, schedule.Tick{})
		}
		g.View(schedule.Time(time.Hour))
	})
}
