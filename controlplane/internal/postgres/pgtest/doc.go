// Package pgtest 给每个测试一个自己的数据库，从迁移好的模板克隆而来。只有测试可以导入它。
//
// # 职责
//
// 找到一个真正的 PostgreSQL，把模式迁移一次做成模板，然后每个测试克隆一份，测试结束时删掉。
// 服务器按次序选：
//
//  1. VEGA_TEST_DATABASE_URL，其用户要有 CREATEDB；
//  2. 本机的服务器程序，经 embedded 启动，不同步磁盘，数据在 /dev/shm（有的话）；
//  3. Docker 引擎健康时，testcontainers；
//  4. 都没有就 t.Fatal。从不跳过：没有跑的测试不是通过的测试。
//
// 第 1 项给了却不能用，也是 t.Fatal，不往下找。
//
// # 用法
//
//	func TestMain(m *testing.M) { pgtest.Main(m) }                            // 结束时停掉服务器
//	func TestMain(m *testing.M) { goleak.VerifyTestMain(pgtest.Wrap(m)) }     // 同上，并查 goroutine 泄漏
//
//	url := pgtest.New(t, postgres.Migrate)
//
// # 数据流
//
//	首个 New → 服务器 → 建库 vegatest_<库号>_<轮次>_<n> → migrate → 关上门 → 模板
//	每个 New → CREATE DATABASE … TEMPLATE … STRATEGY file_copy → URL → 测试 → DROP DATABASE … WITH (FORCE)
//
// 迁移以函数值区分：同一个顶层函数是一个模板；捕获了变量的闭包每造一次就是另一个，因为它可能迁移到别的版本。
// nil 表示不迁移，得到空库。
//
// # 不变量
//
//   - 每个测试进程至多一个服务器；没有服务器比测试进程活得久（embedded 的 Pdeathsig，容器的 Ryuk）。
//   - 进程之间互不打扰：库名含随机轮次。轮次由一把会话级咨询锁担保活着，锁随连接而亡。
//   - 只清扫同一个维护库之下、轮次已死的库；只清扫没有人锁住的 /dev/shm 目录。
//
// # 并发
//
// New 可以在并行的测试里调用；同一个模板只迁移一次，其余等它。
//
// # 失败时
//
// 测试进程被 kill -9：服务器随之快速关闭，留下的目录或数据库由下一个进程清扫。
// 迁移失败：用到这个模板的每个测试都 t.Fatal，说的是同一个错误。
//
// # 不做什么
//
// 不测持久性（数据在内存里、fsync 关着；那要直接用 embedded 并设 Durable），不在测试之间复用数据库。
package pgtest
