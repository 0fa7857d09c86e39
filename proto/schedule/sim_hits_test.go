package schedule

import "fmt"

// simHits 数真正发生了的故障：计划了而没有碰上的不算。
type simHits struct {
	lost, duplicated, reordered                                        int64 // 帧；重复的后到的一份也算乱序
	kills, freezes, partitions, leaders, limits, outages, drains, late int64
}

func (h *simHits) add(o *simHits) {
	for i, p := range h.all() {
		*p.n += *o.all()[i].n
	}
}

type simHit struct {
	name string
	n    *int64
}

func (h *simHits) all() []simHit {
	return []simHit{{"lost", &h.lost}, {"duplicated", &h.duplicated}, {"reordered", &h.reordered}, {"kills", &h.kills}, {"freezes", &h.freezes},
		{"partitions", &h.partitions}, {"leader_changes", &h.leaders}, {"limit_changes", &h.limits}, {"database_outages", &h.outages},
		{"drains", &h.drains}, {"late_starts", &h.late}}
}

// report 印出各种故障各有多少，并答一次也没有的那些。
func (h *simHits) report() (missing []string) {
	line := "figures: simulation-faults"
	for _, x := range h.all() {
		line += fmt.Sprintf(" %s=%d", x.name, *x.n)
		if *x.n == 0 {
			missing = append(missing, x.name)
		}
	}
	fmt.Println(line)
	return missing
}
