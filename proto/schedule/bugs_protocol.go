package schedule

// 协议里的故意的错误；见 bug。模拟看不见的也在：它们要么另有一道防线挡着（旧任期的话，旧的授予者自己也会退位），
// 要么错得太少，不够凑成一次超出；写明性质的那个测试看得见。
const (
	bugShareAtOnce      bug = "share_at_once"      // 租期一过就用足份额：TestHolder_WaitsForEveryOtherCallToEndBeforeItUsesItsShare
	bugGrowFromNow      bug = "grow_from_zero"     // 用足份额之前的等待不从租期的尽头数起：TestHolder_WaitsForEveryOtherCallToEndBeforeItUsesItsShare
	bugLeaseFromReceipt bug = "lease_from_receipt" // 租期从收到回话的时刻起算：TestHolder_LeaseRunsFromTheSendingOfTheFrameItAnswers
	bugReturnTwice      bug = "return_twice"       // 一个单位归还两次：TestHolder_ReturnsOnceAndLessensItsOwnFirst
	bugReturnBookedLate bug = "return_booked_late" // 说了归还，自己的账还没有减：TestHolder_ReturnsOnceAndLessensItsOwnFirst
	bugNoGrace          bug = "no_abort_grace"     // 切断的当场让出名额，上游还在做：TestHolder_CutCallKeepsItsUnitUntilItsGraceEnds
	bugLateGrantDropped bug = "late_grant_dropped" // 迟到的许可不归还，从此少一个：TestHolder_ReturnsAGrantWhoseWaiterLeft
	bugLoweredKept      bug = "lowered_kept"       // 限额降低之前给的留着自己用：TestHolder_LoweredLimitUsesNothingGrantedBefore
	bugDeadUnitUsed     bug = "dead_unit_used"     // 过了寿命的请求数单位照用，窗口里就会多出来：TestHolder_AsksAgainInsteadOfUsingAUnitThatIsTooOld
	bugOldTermTrusted   bug = "old_term_trusted"   // 听旧任期的话：TestHolder_HangsUpOnAnOlderTerm
	bugFrameTwice       bug = "frame_taken_twice"  // 重复的帧再做一遍：TestLink_DeliversInOrderOnceWhateverTheWireDoes
	bugNotBooked        bug = "grant_not_booked"   // 发出许可而不记账，一个单位许给两个：TestGrantor_BooksAUnitBeforeItGrantsIt
	bugNoQuarantine     bug = "no_quarantine"      // 节点一失联就收回它的单位，它可能还在跑：TestGrantor_LostNodeKeepsItsUnitsForAWholeCall
	bugNoLearning       bug = "no_learning"        // 新任期没有听齐就授予：TestGrantor_NewTermLearnsBeforeItGrants
	bugInstanceIgnored  bug = "instance_ignored"   // 换了盘的后一次运行使前一次的许可两秒就放：TestSuccession_OnAnotherDiskWaitsForTheOldRun
	bugNoGhost          bug = "no_ghost"           // 节点一重来就收回上一轮的单位：TestGrantor_FormerRunKeepsItsUnitsForAMoment
	bugGrowBeforeShrink bug = "grow_before_shrink" // 别人的份额还没有缩，就先增：TestGrantor_ShrinksSharesBeforeItGrowsOthers
	bugSparesNotKept    bug = "spares_not_kept"    // 放在节点那里还会退回来的不占容量，桶大出它们：TestRateReturn_LevelAndSparesNeverExceedTheBurst
	bugRateShareEarly   bug = "rate_share_early"   // 授予者还没有让出来，节点就用速率的份额：TestRateShare_RestartedNodeWaitsToo
	bugLowerTierFirst   bug = "lower_tier_first"   // 上层在本地满了就用下层，不问授予者：TestTier_AsksForTheUpperBeforeUsingTheLower
	bugPausesForgotten  bug = "pauses_forgotten"   // 报到时不说自己知道的 429，新任期照样授予：TestPause_NewTermLearnsItFromTheReport
	bugRatesStartFull   bug = "rates_start_full"   // 新任期的速率池从满的开始：TestGrantor_NewTermStartsItsRatesEmpty
)
