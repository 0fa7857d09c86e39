package schedule

// bug 是一处可以故意放进来的错误的名字。出厂的构建里 broken 恒为假，这些分支全被编译器删去；
// 以 -tags seeded 构建时由 VEGA_SEEDED_BUG 选一处，用来证明测试真的看得见它。
//
// 加一处：在 bugs*.go 里给它一个 bug 类型的常量，一句话说它错在哪、主要由哪个测试抓到，在出错的地方问 broken。
// TestSeededBugs 自己读出这些常量与测试的名字，放进哪一处，就要求它名下的那个测试失败。
type bug string

// 池与队里的错误。每一处 TestCore_AgreesWithNaiveModel 都看得见；另写的是不靠对照也看得见它的测试。
const (
	bugNoLift        bug = "counter_not_lifted"   // 闲置攒成优先：TestFairness_ReturningFlowGetsNoCreditForIdleness
	bugLIFO          bug = "fifo_broken"          // 同一个流里后来的先走：TestCore_ServesInOrderOfArrivalWithinAFlow
	bugRefundLost    bug = "refund_lost"          // 没有用完的不退：TestPool_LargerThanTheBucketRunsIntoDebt
	bugNoBurst       bug = "window_without_burst" // 补充率取 N/60 s，不为突发让路：TestBucket_AnySixtySecondsHoldAtMostN
	bugBypass        bug = "small_bypass"         // 小的越过被 server 的池挡着的：TestCore_SmallOnesDoNotOvertake
	bugParkedHolds   bug = "parked_holds"         // 被 app 自己挡住的占着 server 的队：TestCore_ParkedFlowDoesNotHoldTheServer
	bugCancelLeaves  bug = "cancel_leaves"        // 取消之后还站在一个 server 的队里：TestCore_RemovedNeverStarts
	bugExpiryLate    bug = "expiry_late"          // 期限晚看 20 ms：TestDeadline_ExpiresExactlyWhenDue
	bugClassIgnored  bug = "class_ignored"        // 类别不分轻重：TestFairness_ClassesGetTheirSharesAndNobodyStarves
	bugAppNotTaken   bug = "app_not_taken"        // 只扣 server 的池，不扣 app 的：TestCore_TakesAllOrNothing
	bugDebtForgiven  bug = "debt_forgiven"        // 欠账当场勾销：TestPool_LargerThanTheBucketRunsIntoDebt
	bugPauseHoldsAll bug = "pause_holds_all"      // 等被暂停的目标的挡住同一个流里别的：TestCore_PausedTargetIsPassedOver
)
