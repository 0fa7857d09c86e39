package upstreamtest

import "net/http"

// routes 是全部端点。/v1 下的都经过记账与剧本；查询模型的不占限额，与真实上游相同。
func (s *Server) routes() {
	for pattern, answer := range map[string]func(*exchange) error{
		"POST /v1/chat/completions":     chat,
		"POST /v1/completions":          completions,
		"POST /v1/embeddings":           embeddings,
		"POST /v1/responses":            responses,
		"POST /v1/images/generations":   images,
		"POST /v1/images/edits":         images,
		"POST /v1/images/variations":    images,
		"POST /v1/audio/speech":         speech,
		"POST /v1/audio/transcriptions": transcriptions,
		"POST /v1/audio/translations":   transcriptions,
		"POST /v1/moderations":          moderations,
		"POST /v1/rerank":               rerank,
		"POST /v1/files":                createFile,
		"GET /v1/files":                 listFiles,
		"GET /v1/files/{id}":            withFile(false, fileObject),
		"GET /v1/files/{id}/content":    withFile(false, fileContent),
		"DELETE /v1/files/{id}":         withFile(true, fileDeleted),
	} {
		s.mux.HandleFunc(pattern, s.handle(true, answer))
	}
	s.mux.HandleFunc("GET /v1/models", s.handle(false, listModels))
	s.mux.HandleFunc("GET /v1/models/{id...}", s.handle(false, getModel))
	s.mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = w.Write([]byte("ok\n"))
	})
	s.mux.HandleFunc("/v1/", s.handle(true, func(x *exchange) error {
		return x.fail(http.StatusNotFound, "invalid_request_error", "unknown_url",
			"Unknown request URL: "+x.r.Method+" "+x.r.URL.Path)
	}))
	s.controlRoutes()
}
