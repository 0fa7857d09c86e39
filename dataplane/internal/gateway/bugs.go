package gateway

// bug 是一处可以故意放进来的错误的名字。出厂的构建里 broken 恒为假，这些分支全被编译器删去；
// 以 -tags seeded 构建时由 VEGA_SEEDED_BUG 选一处，TestSeededBugs 逐个要求有测试失败。
type bug string

const (
	bugOpenLate      bug = "open_late"      // 送出之后才记下这次调用：TestBooking_TheRequestIsOnRecordBeforeTheUpstreamSeesIt
	bugCloseLate     bug = "close_late"     // 客户端看见终止事件之后才关账：TestBooking_TheAccountIsClosedWhenTheClientSeesTheTerminalEvent
	bugNextSkipped   bug = "next_skipped"   // 重试没有记下：TestBooking_AKilledNodeStillKnowsEachCallOfARetriedRequest
	bugSilentStream  bug = "silent_stream"  // 流走着不报进度：TestBooking_AKilledStreamKeepsItsLastProgress
	bugDrainsForever bug = "drains_forever" // 客户端走后不看同时收着几个：TestDrain_NoMoreThanAllowedAreReadOnAtOnce
	bugZeroIsAbsent  bug = "zero_is_absent" // 把明写的零当作没有报：TestSource_ZeroIsAValueAndAbsentStaysAbsent
)
