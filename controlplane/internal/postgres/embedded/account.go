package embedded

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"strconv"
	"syscall"
)

// account 是服务器以之运行的账号；零值表示就是当前用户。
type account struct {
	name     string
	uid, gid uint32
	drop     bool // 当前是 root，须降权
}

// accountFor 决定服务器的账号：不是 root 就是自己；是 root 则已有的簇归谁就用谁，新簇用 postgres，其次 nobody。
func accountFor(cluster string) (account, error) {
	owner, exists, err := ownerOf(cluster)
	if err != nil {
		return account{}, err
	}
	euid := os.Geteuid()
	switch {
	case euid != 0 && exists && int(owner.uid) != euid:
		return account{}, fmt.Errorf("data directory %s is owned by uid %d, but this process runs as uid %d; run as its owner or chown it",
			cluster, owner.uid, euid)
	case euid != 0:
		return account{}, nil
	case exists && owner.uid == 0:
		return account{}, fmt.Errorf("data directory %s is owned by root, which PostgreSQL refuses; chown it to the postgres account", cluster)
	case exists:
		return owner, nil
	}
	return unprivileged()
}

func ownerOf(dir string) (account, bool, error) {
	info, err := os.Lstat(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return account{}, false, nil
	}
	if err != nil {
		return account{}, false, fmt.Errorf("inspect data directory: %w", err)
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok || !info.IsDir() {
		return account{}, false, fmt.Errorf("%s is not a directory", dir)
	}
	return account{name: strconv.Itoa(int(st.Uid)), uid: st.Uid, gid: st.Gid, drop: true}, true, nil
}

// unprivileged 找一个有 passwd 条目的无特权账号：initdb 要把 uid 换回名字。
func unprivileged() (account, error) {
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err1 := strconv.ParseUint(u.Uid, 10, 32)
		gid, err2 := strconv.ParseUint(u.Gid, 10, 32)
		if err1 == nil && err2 == nil && uid != 0 {
			return account{name: name, uid: uint32(uid), gid: uint32(gid), drop: true}, nil
		}
	}
	return account{}, errors.New("PostgreSQL refuses to run as root and neither a postgres nor a nobody account exists; create one or run as another user")
}

// own 把刚建立的目录交给账号。
func (a account) own(dir string) error {
	if !a.drop {
		return nil
	}
	if err := os.Lchown(dir, int(a.uid), int(a.gid)); err != nil {
		return fmt.Errorf("hand directory to account %s: %w", a.name, err)
	}
	return nil
}

func (a account) credential() *syscall.Credential {
	if !a.drop {
		return nil
	}
	return &syscall.Credential{Uid: a.uid, Gid: a.gid}
}
