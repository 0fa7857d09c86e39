package upstreamtest

import (
	"encoding/json"
	"net/http"
)

// maxControlBytes 是控制接口请求体的上限。
const maxControlBytes = 8 << 20

// controlRoutes 是给黑盒测试的控制接口；它不记账，也不受剧本影响。
func (s *Server) controlRoutes() {
	s.mux.HandleFunc("GET /control/behavior", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusOK, s.rules.snapshot())
	})
	s.mux.HandleFunc("PUT /control/behavior", s.putRule)
	s.mux.HandleFunc("DELETE /control/behavior", func(w http.ResponseWriter, _ *http.Request) {
		s.ClearRules()
		w.WriteHeader(http.StatusNoContent)
	})
	s.mux.HandleFunc("PUT /control/limits", s.putLimits)
	s.mux.HandleFunc("GET /control/ledger", s.getLedger)
	s.mux.HandleFunc("DELETE /control/ledger", func(w http.ResponseWriter, _ *http.Request) {
		s.ResetLedger()
		w.WriteHeader(http.StatusNoContent)
	})
	s.mux.HandleFunc("GET /control/stats", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusOK, s.Stats())
	})
	s.mux.HandleFunc("POST /control/close-idle", func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusNoContent)
		s.CloseIdleConnections()
	})
}

func (s *Server) putRule(w http.ResponseWriter, r *http.Request) {
	var rule Rule
	if !readControl(w, r, &rule) {
		return
	}
	if rule.Count < 0 {
		writeJSON(w, http.StatusBadRequest, map[string]string{"error": "count: negative"})
		return
	}
	s.SetRule(rule)
	writeJSON(w, http.StatusOK, rule)
}

func (s *Server) putLimits(w http.ResponseWriter, r *http.Request) {
	var limits Limits
	if !readControl(w, r, &limits) {
		return
	}
	s.SetLimits(limits)
	writeJSON(w, http.StatusOK, limits)
}

// getLedger 给出账本；?id= 只给一个网关请求的各次尝试。
func (s *Server) getLedger(w http.ResponseWriter, r *http.Request) {
	if id := r.URL.Query().Get("id"); id != "" {
		writeJSON(w, http.StatusOK, s.Attempts(id))
		return
	}
	writeJSON(w, http.StatusOK, s.Ledger())
}

func readControl(w http.ResponseWriter, r *http.Request, into any) bool {
	dec := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxControlBytes))
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		writeJSON(w, http.StatusBadRequest, map[string]string{"error": err.Error()})
		return false
	}
	return true
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // 对方走了就算了
}
