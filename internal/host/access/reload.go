package access

import (
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"runtime"
	"slices"
	"sync"
	"time"
)

// lookEvery is how often files are looked at for changes, at most.
const lookEvery = time.Second

// reloader holds what was made of files, and makes it anew when they change. It
// looks at them when it is asked, and so needs no goroutine; and at what their names
// stand for, and so notices a symlink that leads elsewhere, which is how Kubernetes
// updates a volume.
type reloader[T any] struct {
	what  string // the files hold, for the log
	paths []string
	load  func() (T, error)
	log   *slog.Logger

	mu      sync.Mutex
	value   T
	looked  time.Time
	seen    []fs.FileInfo // nil for a file that could not be looked at
	problem string        // of the last load, or ""
}

// newReloader loads for the first time, and returns an error if that fails.
func newReloader[T any](what string, log *slog.Logger, load func() (T, error), paths ...string) (*reloader[T], error) {
	r := &reloader[T]{what: what, paths: paths, load: load, log: log, looked: time.Now()}
	r.seen = r.look()
	var err error
	r.value, err = load()
	if err != nil {
		return nil, err
	}
	return r, nil
}

// get returns what was loaded last. What cannot be loaded changes nothing, and is
// an error in the log. It is tried again with the next look, as it need not take
// another change for the next try to succeed.
func (r *reloader[T]) get() T {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	if now.Sub(r.looked) < lookEvery {
		return r.value
	}
	r.looked = now
	// Before the files are read: a change in between is seen next time.
	seen := r.look()
	changed := !slices.EqualFunc(seen, r.seen, same)
	r.seen = seen
	if !changed && r.problem == "" {
		return r.value
	}
	value, err := r.load()
	if err != nil {
		if changed || err.Error() != r.problem {
			r.log.Error("cannot reload the "+r.what+": what was loaded before stays in force", "error", err)
		}
		r.problem = err.Error()
		return r.value
	}
	r.value, r.problem = value, ""
	r.log.Info("reloaded the "+r.what, "files", r.paths)
	return value
}

// look returns what there is to tell the files' versions by.
func (r *reloader[T]) look() []fs.FileInfo {
	infos := make([]fs.FileInfo, len(r.paths))
	for i, path := range r.paths {
		if info, err := os.Stat(path); err == nil {
			// On Windows a file's identity is looked up by its name, when it is first
			// asked for: by the next look the name may be another file's.
			_ = os.SameFile(info, info)
			infos[i] = info
		}
	}
	return infos
}

// same says whether two looks saw the same version of a file.
func same(a, b fs.FileInfo) bool {
	if a == nil || b == nil {
		return a == nil && b == nil
	}
	// The mode is looked at as well, for what is wrong with a file may be just that.
	return os.SameFile(a, b) && a.ModTime().Equal(b.ModTime()) && a.Size() == b.Size() && a.Mode() == b.Mode()
}

// SecretMode holds the bits that the mode of a file with a secret must not have: its
// owner may do what he likes, and its group may read it.
const SecretMode = 0o027

// Read returns the content of a regular file that has no bit of its mode set which
// is forbidden, and is not longer than limit bytes.
func Read(path string, limit int64, forbidden fs.FileMode) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	// Before it is opened: with a FIFO that would take until somebody writes to it.
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: must be a regular file", path)
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close() // reading lost nothing
	// Of the very file that is read, whatever its name stands for by now. Windows
	// has lists of who may do what instead of a mode, which Go makes up there.
	if info, err = file.Stat(); err != nil {
		return nil, err
	}
	if mode := info.Mode().Perm(); mode&forbidden != 0 && runtime.GOOS != "windows" {
		return nil, fmt.Errorf("%s: its mode is %04o, which gives away a secret: it must be %04o or stricter", path, mode, mode&^forbidden)
	}
	content, err := io.ReadAll(io.LimitReader(file, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(content)) > limit {
		return nil, fmt.Errorf("%s: must not be larger than %d bytes", path, limit)
	}
	return content, nil
}
