package segments

// bug 是一处可以故意放进来的错误的名字。出厂的构建里 broken 恒为假，这些分支全被编译器删去；
// 以 -tags seeded 构建时由 VEGA_SEEDED_BUG 选一处，TestSeededBugs 逐个要求有测试失败。
type bug string

const (
	bugLengthFirst bug = "length_first"    // 长度字先写，死在半路就留下一帧坏的：TestAppend_IsInvisibleUntilItsLastWord
	bugNoSync      bug = "no_sync"         // 没有落盘就说落了：TestPowerLoss_LosesAtMostWhatWasNotSynced
	bugTailKept    bug = "tail_kept"       // 截断之后不清掉旧的尾巴，新帧写完它又活了：TestOpen_OldTailNeverComesBack
	bugHoleHidden  bug = "hole_hidden"     // 坏在中间只当作到了头：TestOpen_EveryFlippedByteIsSeenOrHarmless
	bugSyncRetried bug = "sync_retried"    // 落盘失败了还在同一段上再来：TestSync_AFailedSegmentIsNeverSyncedAgain
	bugIndexReused bug = "index_reused"    // 落过盘而读不出的帧，序号又给了别人：TestOpen_EveryFlippedByteIsSeenOrHarmless
	bugDropsTooFar bug = "drops_too_far"   // 连还有要留的帧的段也删：TestDrop_KeepsEverySegmentThatHoldsAnAskedFrame
	bugUnmapEarly  bug = "unmap_under_use" // 有人在读就拆掉映射：TestRead_KeepsWorkingOnADroppedSegment
)
