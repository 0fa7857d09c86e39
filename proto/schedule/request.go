package schedule

// Request 是准入要知道的一个请求；宿主填好之后不改。
type Request struct {
	App    string
	Class  Class
	Weight int64 // app 的权重，至少 1
	Cost   Cost  // 预计的代价
}

// Waiter 是一个在等的请求。内存归宿主，在队里的时候不可移动或重用；Candidates 只经 Core.Change 或 Changed 换。
type Waiter struct {
	Request
	Node string // 哪个节点的
	ID   uint64 // 在 Node 内唯一，递增
	// Arrived 定先后；Deadline 为 0 即本处不管它的期限。
	Arrived, Deadline Time
	Candidates        []Candidate
	// Permit 是得到准许时写进去的地方，只有节点用。
	Permit *Permit
	// Tag 归宿主。
	Tag any

	spot waiterSpot
	held waiterState
}

// waiterState 是 Holder 与 Grantor 记在一个在等的请求上的。
type waiterState struct {
	asked      bool // 已经递给授予者
	place      Place
	entered    int64 // 授予者第一次说的位置，0 即还没有说过
	appLimited bool  // 挡住它的是 app 自己的限额
}

// Permit 准许去一个目标；零值没有许可。不可复制。
type Permit struct {
	Request
	Server, Upstream string
	Began            Time
	// StartBy 是请求至迟何时发出：请求数的单位只活一秒，过了就要还掉重来。0 即不管。
	StartBy Time
	// Used 是实际的代价；Known 为假时按预计的结算。
	Used  Cost
	Known bool
	// Unused 说没有发出过：不算一次完成，否则估计会以为这里快得很。它的请求数单位已经花了，不退，见 Holder.refuseGrant。
	Unused bool
	// Aborted 说上游的调用是被我们切断的：名额要再占 abort_grace_ms。
	Aborted bool

	server, app *stock
	reserved    [2]reservation // token 池里预留的：server 的与 app 的
	charged     int64          // 至今记在公平账上的代价
	live        bool
}

// reservation 是一个请求在一个 token 池里预留的。
type reservation struct {
	rate   *rate
	n      int64
	leased bool // 出自授予者的池，要向它结算；否则出自本地的份额
}
