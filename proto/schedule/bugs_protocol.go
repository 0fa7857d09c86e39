package schedule

// 协议里的故意的错误；见 bug。
const (
	bugShareAtOnce      bug = "share_at_once"
	bugReturnTwice      bug = "return_twice"
	bugReturnBookedLate bug = "return_booked_late"
	bugNoGrace          bug = "no_abort_grace"
	bugLateGrantDropped bug = "late_grant_dropped"
	bugDeadUnitUsed     bug = "dead_unit_used"
	bugOldTermTrusted   bug = "old_term_trusted"
	bugLeaseFromReceipt bug = "lease_from_receipt"
	bugGrowFromNow      bug = "grow_from_zero"
	bugNotBooked        bug = "grant_not_booked"
	bugNoQuarantine     bug = "no_quarantine"
	bugNoLearning       bug = "no_learning"
	bugInstanceIgnored  bug = "instance_ignored" // 换了盘的后一次运行使前一次的许可两秒就放：TestSuccession_*
	bugNoGhost          bug = "no_ghost"
	bugGrowBeforeShrink bug = "grow_before_shrink"
	bugRatesStartFull   bug = "rates_start_full"
)
