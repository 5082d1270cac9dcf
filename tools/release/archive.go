package main

import (
	"archive/tar"
	"archive/zip"
	"cmp"
	"compress/gzip"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// file is a file of a release.
type file struct {
	name       string // with slashes
	content    []byte
	executable bool
}

// mode returns the file's mode.
func (f file) mode() os.FileMode {
	if f.executable {
		return 0o755
	}
	return 0o644
}

// archive writes an archive for a platform: a zip for Windows, else a tar.gz. All is in one
// directory, and has the time of the commit.
func (r *release) archive(t target, files []file) (err error) {
	slices.SortFunc(files, func(a, b file) int { return cmp.Compare(a.name, b.name) })
	directory := fmt.Sprintf("quantus-miner_%s_%s_%s", r.plain(), t.os, t.arch)
	write, suffix := writeTar, ".tar.gz"
	if t.os == "windows" {
		write, suffix = writeZip, ".zip"
	}
	out, err := os.Create(filepath.Join(r.out, directory+suffix))
	if err != nil {
		return err
	}
	defer func() { err = cmp.Or(err, out.Close()) }()
	if err := write(out, directory, files, r.time); err != nil {
		return fmt.Errorf("writing %s: %w", out.Name(), err)
	}
	fmt.Println(filepath.Base(out.Name()))
	return nil
}

// writeTar writes files as a tar archive, compressed by gzip.
func writeTar(w io.Writer, directory string, files []file, at time.Time) error {
	z, err := gzip.NewWriterLevel(w, gzip.BestCompression)
	if err != nil {
		return err
	}
	a := tar.NewWriter(z)
	for _, f := range files {
		header := &tar.Header{
			Name: directory + "/" + f.name, Size: int64(len(f.content)), Mode: int64(f.mode()), ModTime: at,
			Uname: "root", Gname: "root",
		}
		if err := a.WriteHeader(header); err != nil {
			return err
		}
		if _, err := a.Write(f.content); err != nil {
			return err
		}
	}
	return cmp.Or(a.Close(), z.Close())
}

// writeZip writes files as a zip archive.
func writeZip(w io.Writer, directory string, files []file, at time.Time) error {
	a := zip.NewWriter(w)
	for _, f := range files {
		header := &zip.FileHeader{Name: directory + "/" + f.name, Method: zip.Deflate, Modified: at}
		header.SetMode(f.mode())
		one, err := a.CreateHeader(header)
		if err != nil {
			return err
		}
		if _, err := one.Write(f.content); err != nil {
			return err
		}
	}
	return a.Close()
}

// checksums writes SHA256SUMS, as sha256sum --check reads it.
func (r *release) checksums() error {
	entries, err := os.ReadDir(r.out)
	if err != nil {
		return err
	}
	var sums strings.Builder
	for _, entry := range entries { // which are in order
		content, err := os.ReadFile(filepath.Join(r.out, entry.Name()))
		if err != nil {
			return err
		}
		fmt.Fprintf(&sums, "%x  %s\n", sha256.Sum256(content), entry.Name())
	}
	return os.WriteFile(filepath.Join(r.out, "SHA256SUMS"), []byte(sums.String()), 0o644)
}
