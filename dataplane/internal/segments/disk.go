package segments

// maxFile 是肯写、肯映射的最大文件。
const maxFile = 1 << 30

// Files 是本包要的那一层文件；缺省是盘上的一个目录。名字都不带路径。
type Files interface {
	// List 给出全部名字，次序不论。
	List() ([]string, error)
	// Create 造一个 size 字节、全零、空间已经占下的文件并映射它；出错时不留下文件。名字已在是错误。
	Create(name string, size int) (Mapping, error)
	// Open 映射一个已有的文件的全部。
	Open(name string) (Mapping, error)
	Rename(from, to string) error
	Remove(name string) error
	// SyncDir 使此前的建、删与改名落盘。
	SyncDir() error
}

// Directory 是盘上的一个目录，没有就造；Config.Files 为 nil 时用的就是它。
func Directory(path string) (Files, error) { return newFiles(path) }

// Mapping 是一个映射着的文件；写 Data 就是写文件的缓存。
type Mapping interface {
	// Data 至少 8 字节对齐，长度是文件的长度。
	Data() []byte
	// Reserve 占下全部空间（空洞补齐），此后写它不会因为盘满而失败；做不到是错误。
	Reserve() error
	// Warm 使 from..to 的页就位，免得第一次写到的人去等缺页；做不到就算了。
	Warm(from, to int)
	// Sync 使前 n 个字节落盘，连同读回它们所需的元数据。
	Sync(n int) error
	// Close 拆掉映射；此后碰 Data 会使进程崩溃。
	Close() error
}
