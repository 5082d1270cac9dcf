package main

import (
	"context"
	"errors"
	"log/slog"

	"github.com/alecthomas/kong"

	"github.com/quantus-network/quantus-miner/internal/cli"
)

// origin is the command line that a command was started by, to be read again: its
// variables stay as they are, but not its configuration file.
type origin struct {
	args    []string
	line    *line
	command *kong.Context
}

// again parses the command line once more. It tells the level of the log that is asked for
// now, and which other settings are not what they were.
func (o *origin) again(ctx context.Context, s streams) (level slog.Level, changed []string, err error) {
	l, err := newLine(ctx, o.args, s)
	if err != nil {
		return 0, nil, err
	}
	args := l.official(o.args)
	command, err := l.parser.Parse(args)
	if err != nil {
		return 0, nil, errors.New(l.explain(err, args))
	}
	logs, ok := command.Selected().Target.Addr().Interface().(interface{ level() slog.Level })
	if !ok || command.Selected().Name != o.command.Selected().Name {
		return 0, nil, errors.New("the command is another one now")
	}
	before := make(map[string]cli.Setting)
	for _, setting := range o.line.settings.Of(o.command) {
		before[setting.Flag] = setting
	}
	for _, setting := range l.settings.Of(command) {
		own := setting.Flag == "--log-level" || setting.Flag == "--verbose"
		if !own && before[setting.Flag].Value != setting.Value {
			changed = append(changed, setting.Flag)
		}
	}
	return logs.level(), changed, nil
}

// reload reads again what can change while the miner runs. What is wrong changes nothing,
// and is an error in the log.
func (s service) reload(ctx context.Context) {
	s.log.Info("reloading")
	level, changed, err := s.origin.again(ctx, s.streams)
	if err != nil {
		s.log.Error("cannot reload the settings: those of before stay in force", "error", err)
	} else {
		s.level.Set(level)
	}
	if len(changed) > 0 {
		s.log.Warn("settings have changed that take effect when the miner is started again", "settings", changed)
	}
	if s.check != nil {
		if err := s.check(); err != nil {
			s.log.Error("cannot reload files: what was read before stays in force", "error", err)
		}
	}
	s.log.Info("reloaded", "log_level", s.level.Level())
}
