package postgres

import (
	"github.com/vega-gateway/vega/controlplane/internal/postgres/sqlcgen"
	"github.com/vega-gateway/vega/controlplane/internal/usage"
)

func minuteParams(rows []usage.MinuteRow) sqlcgen.AddUsageMinutesParams {
	var p sqlcgen.AddUsageMinutesParams
	for _, r := range rows {
		p.Minutes = append(p.Minutes, r.Minute)
		p.Servers = append(p.Servers, r.Server)
		p.Apps = append(p.Apps, r.App)
		p.Models = append(p.Models, r.Model)
		p.ServedModels = append(p.ServedModels, r.ServedModel)
		p.Sources = append(p.Sources, int16(r.Source))
		appendFigures(&p, r.Figures)
	}
	return p
}

func appendFigures(p *sqlcgen.AddUsageMinutesParams, f usage.Figures) {
	p.Requests = append(p.Requests, f.Requests)
	p.Attempts = append(p.Attempts, f.Attempts)
	p.ErrorsClient = append(p.ErrorsClient, f.ErrorsClient)
	p.ErrorsUpstream = append(p.ErrorsUpstream, f.ErrorsUpstream)
	p.ErrorsGateway = append(p.ErrorsGateway, f.ErrorsGateway)
	p.ErrorsLimit = append(p.ErrorsLimit, f.ErrorsLimit)
	p.Aborted = append(p.Aborted, f.Aborted)
	p.AttemptErrors = append(p.AttemptErrors, f.AttemptErrors)
	p.AttemptsWithUsage = append(p.AttemptsWithUsage, f.AttemptsWithUsage)
	p.PromptTokens = append(p.PromptTokens, f.PromptTokens)
	p.CompletionTokens = append(p.CompletionTokens, f.CompletionTokens)
	p.CachedTokens = append(p.CachedTokens, f.CachedTokens)
	p.ReasoningTokens = append(p.ReasoningTokens, f.ReasoningTokens)
	p.CostNano = append(p.CostNano, f.CostNano)
	p.QueueUs = append(p.QueueUs, f.QueueUS)
	p.FirstByteUs = append(p.FirstByteUs, f.FirstByteUS)
	p.FirstByteCount = append(p.FirstByteCount, f.FirstByteCount)
	p.DurationUs = append(p.DurationUs, f.DurationUS)
	p.UpstreamUs = append(p.UpstreamUs, f.UpstreamUS)
}

func refusalParams(rows []usage.RefusedRow) sqlcgen.AddUsageRefusalsParams {
	var p sqlcgen.AddUsageRefusalsParams
	for _, r := range rows {
		p.Minutes = append(p.Minutes, r.Minute)
		p.Apps = append(p.Apps, r.App)
		p.Models = append(p.Models, r.Model)
		p.Codes = append(p.Codes, r.Code)
		p.Counts = append(p.Counts, r.Count)
	}
	return p
}

func gapParams(b usage.Batch, g usage.GapRow) sqlcgen.AddUsageGapParams {
	return sqlcgen.AddUsageGapParams{
		NodeID: b.NodeID, Epoch: int64(b.Epoch), FirstSeq: int64(g.First), LastSeq: int64(g.Last), Reason: g.Reason,
		Requests: g.Totals.Requests, Attempts: g.Totals.Attempts, Refused: g.Totals.Refused,
		PromptTokens: g.Totals.PromptTokens, CompletionTokens: g.Totals.CompletionTokens,
		CachedTokens: g.Totals.CachedTokens, ReasoningTokens: g.Totals.ReasoningTokens,
		CostNano: g.Totals.CostNano, Lost: g.Totals.Lost,
	}
}
