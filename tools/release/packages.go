package main

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/goreleaser/nfpm/v2"
	_ "github.com/goreleaser/nfpm/v2/deb" // nfpm has its formats registered so
	"github.com/goreleaser/nfpm/v2/files"
	_ "github.com/goreleaser/nfpm/v2/rpm"
)

// packages writes a .deb and a .rpm of files.
func (r *release) packages(t target, all []file) error {
	for _, format := range []string{"deb", "rpm"} {
		contents, err := r.contents(t, format, all)
		if err != nil {
			return err
		}
		if err := r.pack(t, format, contents); err != nil {
			return fmt.Errorf("the %s package: %w", format, err)
		}
	}
	return nil
}

// places returns where a file of an archive goes in a package, or "" for nowhere.
func places(format, name string) (to string) {
	base := path.Base(name)
	switch {
	case base == "quantus-miner" || base == "quantus-miner-gpu" || base == "quantus-miner-nats":
		return "/usr/bin/" + base
	case strings.HasPrefix(name, "man/"):
		return "/usr/share/man/man1/" + base + ".gz"
	case strings.HasSuffix(name, ".bash"):
		return "/usr/share/bash-completion/completions/quantus-miner"
	case base == "_quantus-miner" && format == "deb":
		return "/usr/share/zsh/vendor-completions/" + base
	case base == "_quantus-miner":
		return "/usr/share/zsh/site-functions/" + base
	case strings.HasSuffix(name, ".fish"):
		return "/usr/share/fish/vendor_completions.d/" + base
	case strings.HasSuffix(name, ".service"):
		return "/usr/lib/systemd/system/" + base
	case strings.HasSuffix(name, ".env"):
		return "/etc/default/quantus-miner"
	case base == "gpu.conf":
		return "/usr/share/quantus-miner/" + base
	case base == "LICENSE" && format == "deb":
		return "/usr/share/doc/quantus-miner/copyright"
	case strings.HasSuffix(name, ".md"), base == "LICENSE":
		return "/usr/share/doc/quantus-miner/" + base
	}
	return ""
}

// contents returns what a package has, with files of the work directory that it is read
// from.
func (r *release) contents(t target, format string, all []file) (contents files.Contents, err error) {
	for _, f := range all {
		to := places(format, f.name)
		if to == "" {
			return nil, fmt.Errorf("%s has no place in a package", f.name)
		}
		if strings.HasSuffix(to, ".gz") {
			if f.content, err = compressed(f.content); err != nil {
				return nil, err
			}
		}
		from := filepath.Join(r.work, format+"-"+t.arch, filepath.FromSlash(f.name))
		if err := os.MkdirAll(filepath.Dir(from), 0o755); err != nil {
			return nil, err
		}
		if err := os.WriteFile(from, f.content, 0o600); err != nil {
			return nil, err
		}
		content := &files.Content{Source: from, Destination: to, FileInfo: &files.ContentFileInfo{Owner: "root", Group: "root", Mode: f.mode(), MTime: r.time}}
		if strings.HasPrefix(to, "/etc/") {
			content.Type = files.TypeConfigNoReplace
			content.FileInfo.Mode = 0o640 // it may have a token in it
		}
		contents = append(contents, content)
	}
	// Directories that are the package's own, or they would stay when it is removed. The
	// group of the first is made, and gets it, as the package is installed.
	for path, mode := range map[string]os.FileMode{"/etc/quantus-miner": 0o750, "/usr/share/quantus-miner": 0o755, "/usr/share/doc/quantus-miner": 0o755} {
		contents = append(contents, &files.Content{
			Destination: path, Type: files.TypeDir,
			FileInfo: &files.ContentFileInfo{Owner: "root", Group: "root", Mode: mode, MTime: r.time},
		})
	}
	return contents, nil
}

// pack writes a package.
func (r *release) pack(t target, format string, contents files.Contents) (err error) {
	packager, err := nfpm.Get(format)
	if err != nil {
		return err
	}
	scripts := func(name string) string { return filepath.Join(r.root, "deploy/packages", name) }
	version, prerelease, _ := strings.Cut(strings.ReplaceAll(r.plain(), "+", "."), "-")
	info := nfpm.WithDefaults(&nfpm.Info{
		Name: "quantus-miner", Platform: "linux", Arch: t.arch,
		VersionSchema: "none", Version: version, Prerelease: strings.ReplaceAll(prerelease, "-", "."), Release: "1",
		Section: "net", Priority: "optional",
		Maintainer:  "The quantus-miner authors",
		Description: "Proof-of-work miner for the Quantus network\nIt mines on CPUs and GPUs, for nodes and for pools, and runs as a service.",
		Homepage:    "https://github.com/quantus-network/quantus-miner",
		License:     "Apache-2.0",
		MTime:       r.time, DisableGlobbing: true,
		Overridables: nfpm.Overridables{
			Recommends: []string{"ca-certificates"}, // for pools with TLS
			Contents:   contents,
			Scripts:    nfpm.Scripts{PostInstall: scripts("postinst"), PreRemove: scripts("prerm"), PostRemove: scripts("postrm")},
			Umask:      0o022,
			RPM:        nfpm.RPM{BuildHost: "localhost", Summary: "Proof-of-work miner for the Quantus network"},
		},
	})
	if err := nfpm.PrepareForPackager(info, format); err != nil {
		return err
	}
	out, err := os.Create(filepath.Join(r.out, packager.ConventionalFileName(info)))
	if err != nil {
		return err
	}
	defer func() { err = cmp.Or(err, out.Close()) }()
	if err := packager.Package(info, out); err != nil {
		return err
	}
	fmt.Println(filepath.Base(out.Name()))
	return nil
}

// compressed returns a text compressed by gzip, without a name or a time.
func compressed(text []byte) ([]byte, error) {
	var b bytes.Buffer
	z, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	if _, err := z.Write(text); err != nil {
		return nil, err
	}
	if err := z.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}
