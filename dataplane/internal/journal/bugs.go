package journal

// bug 是一处可以故意放进来的错误的名字。出厂的构建里 broken 恒为假，这些分支全被编译器删去；
// 以 -tags seeded 构建时由 VEGA_SEEDED_BUG 选一处，TestSeededBugs 逐个要求有测试失败。
type bug string

const (
	bugBeforeSync    bug = "before_sync"    // 没有落盘就交出去，断电之后序号给了别人：TestPowerLoss_NothingHandedOutIsLostOrReused
	bugCloseSkipped  bug = "close_skipped"  // 结局没有写下：TestKill_LosesNothingThatWasClosed
	bugDropBeforeAck bug = "drop_early"     // 还没确认就删：TestRetention_KeepsWhatIsNotAcknowledged
	bugNextForgotten bug = "next_forgotten" // 重放忘了前一次调用：TestReplay_KeepsTheAttemptsBeforeTheOneCutOff
	bugRewindIgnored bug = "rewind_ignored" // 数据库回到过去而不理：TestRewind_ReadsFromDiskAgain
	bugOpenDropped   bug = "open_dropped"   // 删掉还在进行的请求的开头：TestRetention_CarriesRequestsThatOutliveTheirSegment
	bugEpochKept     bug = "epoch_kept"     // 尾巴坏了还接着原来的序号写：TestOpen_ADamagedTailStartsANewEpoch
	bugSuspectGiven  bug = "suspect_given"  // 落盘失败的照样交出去：TestSync_WhatFailedToSyncWaitsForAMark
	bugNotCopied     bug = "not_copied"     // 落盘失败的不再写一遍：TestSync_WhatFailedToSyncIsWrittenAgain
	bugReplayedTwice bug = "replayed_twice" // 重放补上的不算结局，下一次又补：TestReplay_IsIdempotentWhenKilledHalfway
)
