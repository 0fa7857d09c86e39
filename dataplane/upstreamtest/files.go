package upstreamtest

import (
	"net/http"
	"slices"
	"strconv"
	"sync"

	"github.com/tidwall/gjson"
)

// maxFiles 与 maxFileBytes 使文件区有界：超出时最早的先走。
const (
	maxFiles     = 256
	maxFileBytes = 256 << 20
)

// file 是一个上传的文件，不可变。
type file struct {
	id, name, purpose string
	created           int64
	data              []byte
}

// files 是内存里的文件区，按上传先后。
type files struct {
	mu    sync.Mutex
	list  []*file
	bytes int
}

func (fs *files) add(f *file) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	fs.list = append(fs.list, f)
	fs.bytes += len(f.data)
	for len(fs.list) > 1 && (len(fs.list) > maxFiles || fs.bytes > maxFileBytes) {
		fs.bytes -= len(fs.list[0].data)
		fs.list = slices.Delete(fs.list, 0, 1)
	}
}

func (fs *files) all() []*file {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	return slices.Clone(fs.list)
}

// take 找一个文件，remove 时一并删去；没有则为 nil。
func (fs *files) take(id string, remove bool) *file {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	at := slices.IndexFunc(fs.list, func(f *file) bool { return f.id == id })
	if at < 0 {
		return nil
	}
	f := fs.list[at]
	if remove {
		fs.bytes -= len(f.data)
		fs.list = slices.Delete(fs.list, at, at+1)
	}
	return f
}

func createFile(x *exchange) error {
	if x.req.file == nil {
		return x.fail(http.StatusBadRequest, "invalid_request_error", "", "Missing required parameter: 'file'.")
	}
	f := &file{
		id: x.id("file"), name: x.req.file.filename, purpose: x.req.form["purpose"],
		created: x.srv.cfg.Now().Unix(), data: x.req.file.data,
	}
	x.srv.files.add(f)
	return x.whole(200, "application/json", f.append(nil), nil)
}

func listFiles(x *exchange) error {
	buf := append([]byte(nil), `{"object":"list","data":[`...)
	for i, f := range x.srv.files.all() {
		if i > 0 {
			buf = append(buf, ',')
		}
		buf = f.append(buf)
	}
	return x.whole(200, "application/json", append(buf, `],"has_more":false}`...), nil)
}

// withFile 在路径所指的文件上作答，没有则 404。
func withFile(remove bool, answer func(*exchange, *file) error) func(*exchange) error {
	return func(x *exchange) error {
		id := x.r.PathValue("id")
		f := x.srv.files.take(id, remove)
		if f == nil {
			return x.fail(http.StatusNotFound, "invalid_request_error", "", "No such File object: "+id)
		}
		return answer(x, f)
	}
}

func fileObject(x *exchange, f *file) error {
	return x.whole(200, "application/json", f.append(nil), nil)
}

func fileContent(x *exchange, f *file) error {
	return x.whole(200, "application/octet-stream", f.data, nil)
}

func fileDeleted(x *exchange, f *file) error {
	return x.whole(200, "application/json", []byte(`{"id":"`+f.id+`","object":"file","deleted":true}`), nil)
}

func (f *file) append(buf []byte) []byte {
	buf = append(buf, `{"id":"`+f.id+`","object":"file","bytes":`...)
	buf = strconv.AppendInt(buf, int64(len(f.data)), 10)
	buf = append(buf, `,"created_at":`...)
	buf = strconv.AppendInt(buf, f.created, 10)
	buf = append(buf, `,"filename":`...)
	buf = gjson.AppendJSONString(buf, f.name)
	buf = append(buf, `,"purpose":`...)
	buf = gjson.AppendJSONString(buf, f.purpose)
	return append(buf, `,"status":"processed"}`...)
}
