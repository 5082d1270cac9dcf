package access

import (
	"io/fs"
	"log/slog"
	"os"
	"slices"
	"sync"
	"time"
)

// lookInterval is how often files are looked at for changes, at most.
const lookInterval = time.Second

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
	if now.Sub(r.looked) < lookInterval {
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

// look returns what the versions of the files are compared by.
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

// same reports whether two looks saw the same version of a file.
func same(a, b fs.FileInfo) bool {
	if a == nil || b == nil {
		return a == nil && b == nil
	}
	// The mode is looked at as well, for what is wrong with a file may be just that.
	return os.SameFile(a, b) && a.ModTime().Equal(b.ModTime()) && a.Size() == b.Size() && a.Mode() == b.Mode()
}
