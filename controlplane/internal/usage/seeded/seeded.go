// Package seeded 是用量的路上可以故意放进来的错误：证明少了任何一条次序的规矩，都有测试失败。
//
// 出厂的构建里 Broken 恒为假，那些分支全被编译器删去；以 -tags seeded 构建时由 VEGA_SEEDED_BUG 选一处，
// usage 包的 TestSeededBugs 逐个要求它名下的测试失败。
package seeded

// Bug 是一处错误的名字。
type Bug string

const (
	AckEarly          Bug = "ack_early"          // 没有提交成也确认：TestReport_AcknowledgesOnlyWhatWasCommitted
	CursorAlone       Bug = "cursor_alone"       // 游标前进而总数没有写：TestReport_DuplicatedReorderedOverlappingTruncatedBatchesCountOnce
	ResendIgnored     Bug = "resend_ignored"     // 缺了一段也照收：TestPlan_AnyCuttingOrderAndRepetitionCountsEveryRecordOnce
	PrefixTwice       Bug = "prefix_twice"       // 重叠的前缀再计一次：TestPlan_AnyCuttingOrderAndRepetitionCountsEveryRecordOnce
	HelloBelieved     Bug = "hello_believed"     // 以节点见过的确认作答，而不是游标：TestReport_DatabaseWentBackIsSeenAndHealedByResending
	ClockBelieved     Bug = "clock_believed"     // 不校正节点的钟：TestReport_AClockThatJumpsByHoursNeitherMovesNorLosesAnything
	TakenApart        Bug = "taken_apart"        // 删增量与加总数不在一个事务里：TestRoll_FailingAtAnyStepLosesNothingAndRepeatsNothing
	LevelForgotten    Bug = "level_forgotten"    // 并入时漏了一级：TestRoll_KilledAtRandomMomentsUnderLoadLosesNothing
	RollUnlocked      Bug = "roll_unlocked"      // 两个 roller 同时并：TestRoll_OnlyOneAtATime
	HistogramReplaced Bug = "histogram_replaced" // 直方图不与已有的合并：TestRoll_HistogramsOfEveryLevelAreThoseOfTheRequests
	RetireForgets     Bug = "retire_forgets"     // 删分区而不留下总数：TestKeep_DropsWhatExpiredLevelByLevelAndConservesTheTotals
	FloorIgnored      Bug = "floor_ignored"      // 迟到的写进已经清退的一级：TestKeep_DropsWhatExpiredLevelByLevelAndConservesTheTotals
)
