package access

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
)

// SecretMode holds the bits that the mode of a file with a secret must not have: its
// owner may do anything, and its group may read it.
const SecretMode = 0o027

// forbiddenWrite holds the bits that let others than the owner write. There is no
// exemption for them.
const forbiddenWrite = 0o022

// ErrExposed says of a file's mode that others than its owner and group can get at it.
var ErrExposed = errors.New("gives away a secret")

// Read returns the content of a regular file that has no bit of its mode set which
// is forbidden, and is not longer than limit bytes.
//
// A secret that others can read is accepted where its mode is not the user's to choose:
// see [WarnExposed], which a program calls once for each file with a secret.
func Read(path string, limit int64, forbidden fs.FileMode) ([]byte, error) {
	return read(path, limit, forbidden, thisMachine())
}

// WarnExposed writes a warning to the log if the mode of a file with a secret has a bit
// that is forbidden, and [Read] takes the file nevertheless. Containers and systemd mount
// secrets with modes such as 0444, which their user cannot change.
func WarnExposed(log *slog.Logger, path string, forbidden fs.FileMode) {
	warnExposed(log, path, forbidden, thisMachine())
}

// places are those where the mode of a secret is not its user's to choose.
type places struct {
	// credentials is the directory in which systemd puts a service's credentials, or "".
	credentials string
	// readOnly reports whether a file is on a mount that nothing can be written to.
	readOnly func(*os.File) bool
}

// thisMachine returns the places of this machine. The variable is systemd's (see
// systemd.exec, "Credentials").
func thisMachine() places { return places{os.Getenv("CREDENTIALS_DIRECTORY"), readOnly} }

// exemption returns why a file with a secret is accepted although others can read it, or
// "" if it is not.
func (p places) exemption(file *os.File, path string) string {
	switch {
	case p.holdsCredential(path):
		return "it is in systemd's directory of credentials"
	case p.readOnly(file):
		return "it is on a read-only mount"
	default:
		return ""
	}
}

// holdsCredential reports whether a file is in systemd's directory, wherever symlinks
// lead.
func (p places) holdsCredential(path string) bool {
	if !filepath.IsAbs(p.credentials) {
		return false
	}
	dir, err := filepath.EvalSymlinks(p.credentials)
	if err != nil {
		return false
	}
	if path, err = filepath.Abs(path); err != nil {
		return false
	}
	if path, err = filepath.EvalSymlinks(path); err != nil {
		return false
	}
	inside, err := filepath.Rel(dir, path)
	return err == nil && filepath.IsLocal(inside)
}

// read is Read, in these places.
func read(path string, limit int64, forbidden fs.FileMode, p places) ([]byte, error) {
	file, mode, err := open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close() // reading lost nothing
	if mode&forbidden != 0 && (mode&forbidden&forbiddenWrite != 0 || p.exemption(file, path) == "") {
		return nil, fmt.Errorf("%s: its mode is %04o, which %w: it must be %04o or stricter", path, mode, ErrExposed, mode&^forbidden)
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

// warnExposed is WarnExposed, in these places.
func warnExposed(log *slog.Logger, path string, forbidden fs.FileMode, p places) {
	file, mode, err := open(path)
	if err != nil { // as Read says
		return
	}
	defer file.Close()
	if mode&forbidden == 0 {
		return
	}
	if why := p.exemption(file, path); why != "" {
		log.Warn("others on this machine may be able to read a secret", "file", path, "mode", fmt.Sprintf("%04o", mode),
			"accepted_because", why, "advice", fmt.Sprintf("mount it with mode %04o, for the miner's user or group", mode&^forbidden))
	}
}

// open opens a regular file, and returns its mode. On Windows, which has lists of who may
// do what, it has no bits.
func open(path string) (*os.File, fs.FileMode, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, 0, err
	}
	// Before it is opened: with a FIFO that would take until somebody writes to it.
	if !info.Mode().IsRegular() {
		return nil, 0, fmt.Errorf("%s: must be a regular file", path)
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, 0, err
	}
	// Of the very file that is read, whatever its name stands for by now.
	if info, err = file.Stat(); err != nil {
		_ = file.Close()
		return nil, 0, err
	}
	if runtime.GOOS == "windows" { // where Go makes one up
		return file, 0, nil
	}
	return file, info.Mode().Perm(), nil
}
