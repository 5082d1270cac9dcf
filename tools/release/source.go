package main

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"golang.org/x/mod/module"
	"golang.org/x/mod/semver"
)

// source is the commit that a release is made of.
type source struct {
	root     string // of the checkout
	version  string // the commit's tag, or else a pseudo-version as Go makes them
	revision string // the commit
	time     time.Time
}

// readSource looks at a checkout.
func readSource(ctx context.Context, root string) (source, error) {
	s := source{root: root}
	head, err := git(ctx, root, "log", "-1", "--format=%H %ct")
	if err != nil {
		return s, err
	}
	commit, seconds, _ := strings.Cut(head, " ")
	unix, err := strconv.ParseInt(seconds, 10, 64)
	if err != nil {
		return s, fmt.Errorf("the time of the commit: %w", err)
	}
	s.revision, s.time = commit, time.Unix(unix, 0).UTC()
	tags, err := git(ctx, root, "tag", "--points-at", "HEAD")
	if err != nil {
		return s, err
	}
	// The latest tag of those that the commit has.
	for tag := range strings.FieldsSeq(tags) {
		if semver.IsValid(tag) && semver.Canonical(tag) == tag && semver.Compare(tag, s.version) > 0 {
			s.version = tag
		}
	}
	if s.version == "" {
		older, _ := git(ctx, root, "describe", "--tags", "--abbrev=0", "--match", "v[0-9]*.[0-9]*.[0-9]*") // or there is none
		if !semver.IsValid(older) {
			older = ""
		}
		s.version = module.PseudoVersion(semver.Major(older), older, s.time, commit[:12])
	}
	changes, err := git(ctx, root, "status", "--porcelain", "--untracked-files=no")
	if err != nil {
		return s, err
	}
	if changes != "" {
		s.version += "+dirty"
	}
	return s, nil
}

// plain returns the version as archives and packages have it in their names: 1.0.0.
func (s source) plain() string { return strings.TrimPrefix(s.version, "v") }

// git runs git in a directory, and returns what it prints.
func git(ctx context.Context, dir string, args ...string) (string, error) {
	var complaint bytes.Buffer
	c := exec.CommandContext(ctx, "git", args...)
	c.Dir, c.Stderr = dir, &complaint
	out, err := c.Output()
	if err != nil {
		return "", fmt.Errorf("git %s: %w: %s", args[0], err, bytes.TrimSpace(complaint.Bytes()))
	}
	return string(bytes.TrimSpace(out)), nil
}
