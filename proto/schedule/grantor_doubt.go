package schedule

// unknownNodes 是成员表里替所有不知道的节点占着的一行；不是合法的节点名。
const unknownNodes = "(unknown)"

// doubt 成员表可能是旧的：当有一个从不报到的节点，到此刻还听得见。学习与隔离于是照常管住它可能拿着的，
// 它也在表里，任期中途换了人，下一任照样等。
func (g *Grantor) doubt(now Time) {
	m := g.members[unknownNodes]
	if m == nil {
		m = g.add(unknownNodes)
	}
	m.cleared, m.durable = false, true
	m.heardAt, m.recorded = now, now
	g.learning = true
	g.doubted = m
}

// noteDoubt 把那一行写下。
func (g *Grantor) noteDoubt(now Time) {
	if m := g.doubted; m != nil {
		g.doubted = nil
		g.save([]Member{g.row(now, m)}, nil)
	}
}
