// Package embedded 用机器上已有的服务器程序启动一个私有的 PostgreSQL。
//
// # 职责
//
// 没有给出 VEGA_DATABASE_URL 的 controlplane serve，以及测试，都从这里得到一个数据库：找程序、建簇、启动、
// 等到能查询、停止。数据全部在 DataDir 里：
//
//	postgres/         数据簇（PGDATA），属于服务器的账号，0700
//	postgres-run/     UNIX 套接字；DataDir 太长时改用一个私有临时目录（sun_path 只有一百来个字节）
//	postgres-init-*/  正在初始化的簇，成功后改名为 postgres/；留下来的都是半途而废的，下次启动时清掉
//	postgres.lock     flock 文件，内容是持有者的 pid 与临时套接字目录
//
// # 数据流
//
//	Start: 找程序 → 锁 DataDir → 停掉遗留的服务器 → initdb（临时目录，再改名）→ postgres → 能查询 → 建库 → URL
//	Stop:  SIGINT（快速关闭）→ SIGQUIT → 实在不行才 SIGKILL → 解锁
//
// # 以 root 运行
//
// PostgreSQL 拒绝以 root 运行，所以降到无特权账号（已有的簇用簇的属主，新簇用 postgres，其次 nobody）。
// 难处是 DataDir 常在只有 root 能进的目录（0700）之下，那个账号走不到自己的数据。试过并放弃的：
// 让子进程 chdir 到簇里再用相对路径或 /proc/self/cwd，PostgreSQL 15 及更早的 initdb 与 postgres 在找自己的程序文件时会
// chdir 走再按绝对路径回来，回不来；绑定挂载要 CAP_SYS_ADMIN，容器里没有；改父目录的权限等于替用户开门。
// 现在的做法：由我们打开簇与套接字目录，把描述符传给子进程，命令行写 -D /proc/self/fd/3 与 -k /proc/self/fd/4，工作目录是 /。
// 经描述符进入目录只看目录本身的权限，不走父目录；描述符由 postmaster 的每个子进程继承，所以一直有效。
// 簇里不记录这个路径，重启时换一个描述符即可；父目录一位也不改。附带的好处是服务器一侧的套接字路径永远很短。
// 没有 /proc 的系统退回真实路径，此时父目录必须可进入。
//
// # 不变量
//
//   - 只有持有 postgres.lock 的进程才启动、停止或清理这个 DataDir 里的东西；锁随进程而亡。
//   - postgres/ 存在即是一次完整成功的 initdb。
//   - 遗留的 postmaster 由命令行上的 cluster_name 标记（簇的设备号与 inode）认出，其次由工作目录；认不准的进程从不发信号。
//   - 服务器不听 TCP；套接字目录 0700，除 root 与服务器账号外没有人能连，因此本地认证用 trust。
//   - Linux 上服务器不会比我们活得久：内核在启动它的线程结束时发 SIGINT（快速关闭），那个线程锁住直到服务器结束。
//     其他系统没有这个机制，遗留的服务器由下一次 Start 停掉。
//
// # 并发
//
// 每个 Server 有一个 goroutine（锁在自己的线程上，负责 fork 与 wait），外加 os/exec 搬运 stderr 的一个；
// 两者都在 Done 关闭之前结束。Server 的方法可以并发调用。
//
// # 失败时
//
//   - 控制面被 kill -9：服务器自行快速关闭；下一次 Start 等它走完或替它走完。
//   - postmaster 自己死了：Done 关闭，Err 说明原因；本包不自动重启，由装配者决定（通常是整个进程退出）。
//   - postmaster 被 kill -9：残余后端占着共享内存时，Start 在十秒内重试。
//   - 簇由另一个大版本建成：ErrVersion，文本说明装什么；没有程序：ErrNoBinaries；锁被占：ErrLocked。
//   - 陈旧的 postmaster.pid 交给 PostgreSQL 判断；只有那个 pid 已被别的进程占用（容器重启后很常见）时，
//     才把它改写为我们自己的 pid：PostgreSQL 认父进程的 pid 为陈旧，而共享内存的核对照常进行。
//
// # 不做什么
//
// 不下载程序，不升级簇，不做备份，不调优，不提供 TCP。
package embedded
