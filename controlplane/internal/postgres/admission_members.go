package postgres

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/vega-gateway/vega/controlplane/internal/admission"
	"github.com/vega-gateway/vega/controlplane/internal/postgres/sqlcgen"
	"github.com/vega-gateway/vega/proto/schedule"
)

// share 是 shares 一列里的一项。
type share struct {
	Server string        `json:"server,omitempty"`
	App    string        `json:"app,omitempty"`
	Kind   schedule.Kind `json:"kind"`
	Units  int64         `json:"units"`
}

// LoadMembers 按名字升序给出所有成员；SilentFor 由数据库的钟算出。份额读不出来的那一行也给出，标作 UnknownShares：
// 一行坏了不该让谁也当不了任。
func (a *Admission) LoadMembers(ctx context.Context) ([]schedule.Member, error) {
	rows, err := a.q.ListAdmissionMembers(ctx)
	if err != nil {
		return nil, admissionUnavailable(err)
	}
	members := make([]schedule.Member, len(rows))
	for i, row := range rows {
		members[i] = schedule.Member{
			Node: row.NodeID, Epoch: uint64(row.Epoch), Instance: row.Instance, Clear: row.Clear, ShareVersion: uint64(row.ShareVersion),
			SilentFor: max(time.Duration(row.SilentUs)*time.Microsecond, 0), // 数据库的钟可能往回拨过
		}
		members[i].Shares, members[i].UnknownShares = sharesOf(row.Shares)
	}
	return members, nil
}

// SaveMembers 在一个事务里写下各成员（名字不重）；任期已经不归 t 则一行也没有写，held 为假。
func (a *Admission) SaveMembers(ctx context.Context, t admission.Title, members []schedule.Member) (held bool, err error) {
	p := sqlcgen.SaveAdmissionMembersParams{Name: leaderName, Holder: t.Holder, Term: int64(t.Term)}
	for _, m := range members {
		text, err := json.Marshal(jsonShares(m.Shares))
		if err != nil {
			return false, fmt.Errorf("encode shares of node %s: %w", m.Node, err)
		}
		p.NodeIds = append(p.NodeIds, m.Node)
		p.Epochs = append(p.Epochs, int64(m.Epoch))
		p.Instances = append(p.Instances, m.Instance)
		p.Clear = append(p.Clear, m.Clear)
		p.ShareVersions = append(p.ShareVersions, int64(m.ShareVersion))
		p.Shares = append(p.Shares, text)
		p.SilentUs = append(p.SilentUs, m.SilentFor.Microseconds())
	}
	if held, err = a.q.SaveAdmissionMembers(ctx, p); err != nil {
		return false, admissionUnavailable(err)
	}
	return held, nil
}

// DeleteMembers 删去各成员；任期已经不归 t 则一行也没有删，held 为假。
func (a *Admission) DeleteMembers(ctx context.Context, t admission.Title, nodes []string) (held bool, err error) {
	held, err = a.q.DeleteAdmissionMembers(ctx, sqlcgen.DeleteAdmissionMembersParams{
		Name: leaderName, Holder: t.Holder, Term: int64(t.Term), NodeIds: nodes})
	if err != nil {
		return false, admissionUnavailable(err)
	}
	return held, nil
}

// TouchMembers 记下 connected（不可为 nil）此刻都听得见。
func (a *Admission) TouchMembers(ctx context.Context, t admission.Title, connected []string) (admission.Touched, error) {
	row, err := a.q.TouchAdmissionMembers(ctx, sqlcgen.TouchAdmissionMembersParams{
		Connected: connected, Name: leaderName, Holder: t.Holder, Term: int64(t.Term)})
	if err != nil {
		return admission.Touched{}, admissionUnavailable(err)
	}
	return admission.Touched{Held: row.Held, Missing: row.Missing, Forgotten: row.Forgotten}, nil
}

func jsonShares(units []schedule.Units) []share {
	out := make([]share, len(units))
	for i, u := range units {
		out[i] = share{Server: u.Pool.Server, App: u.Pool.App, Kind: u.Pool.Kind, Units: u.N}
	}
	return out
}

// sharesOf 读出一列 shares；有一项不成样子就全不作数。
func sharesOf(text []byte) (units []schedule.Units, unknown bool) {
	var list []share
	if err := json.Unmarshal(text, &list); err != nil {
		return nil, true
	}
	for _, s := range list {
		if (s.Server == "") == (s.App == "") || s.Kind < schedule.InFlight || s.Kind > schedule.Tokens || s.Units < 0 {
			return nil, true
		}
		units = append(units, schedule.Units{Pool: schedule.Pool{Server: s.Server, App: s.App, Kind: s.Kind}, N: s.Units})
	}
	return units, false
}
