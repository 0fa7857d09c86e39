package catalog

import "time"

// Revision 是历史里的一版。
type Revision struct {
	Number    uint64    `json:"revision"`
	CreatedAt time.Time `json:"created_at"`
	Actor     string    `json:"actor"`
	Note      string    `json:"note"`
	// Summary 是给人看的一行，见 Summarise。
	Summary string `json:"summary"`
}

// Applied 是一次写的结果。
type Applied struct {
	// Revision 是写完之后的版本号；没有变化、或只是试写时就是现在的。
	Revision uint64
	// Changed 为假表示内容没有变化，没有产生新的一版。
	Changed bool
	Changes []ChangeItem
	// Catalog 是写完之后的内容（试写时是假如写了的内容）。
	Catalog *Catalog
}
