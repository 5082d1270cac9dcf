package console

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestRation has strangers cause warnings, far too many, beside what the miner says
// about itself.
func TestRation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		log := slog.New(Rationed(ForMachines(&out, slog.LevelInfo, false))).With("a", 1).WithGroup("b")
		for range 1000 {
			log.Warn("stranger")
			log.Info("own")
			log.Error("own")
		}
		if n := strings.Count(out.String(), "stranger"); n != 30 {
			t.Errorf("%d warnings are written, want %d", n, 30)
		}
		if n := strings.Count(out.String(), "own"); n != 2000 {
			t.Errorf("%d of 2000 other lines are written", n)
		}
		out.Reset()
		<-time.After(4 * time.Second)
		for range 5 {
			log.Warn("stranger")
		}
		if n := strings.Count(out.String(), "stranger"); n != 2 || !strings.Contains(out.String(), `"warnings_omitted":970`) {
			t.Errorf("later:\n%s", &out)
		}
	})
}

// TestRationOfWaiting has many winners wait for a hub that is lost: what is said of that hub is written
// nevertheless.
func TestRationOfWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		log := slog.New(Rationed(ForMachines(&out, slog.LevelInfo, false)))
		for range 1000 {
			log.Warn("a winner waits for the hub", "job", "a")
		}
		log.Warn("the search stops: the hub is silent")
		if n := strings.Count(out.String(), "a winner waits"); n != 3 || !strings.Contains(out.String(), "the search stops") {
			t.Errorf("%d of them are written:\n%s", n, &out)
		}
	})
}

// TestRationOfMachines has a fleet of thousands come at once, and be lost at once.
func TestRationOfMachines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		log := slog.New(Rationed(ForMachines(&out, slog.LevelInfo, false)))
		for i := range 2000 {
			log.Info("machine joins", "machine", fmt.Sprint("rig", i))
		}
		for i := range 2000 {
			log.Warn("machine is gone", "machine", fmt.Sprint("rig", i))
		}
		<-time.After(time.Second)
		log.Info("machine is back", "machine", "rig0")
		text := out.String()
		if strings.Count(text, "joins") != 30 || strings.Count(text, "is gone") != 30 || !strings.Contains(text, `"machines_omitted":1970`) {
			t.Error(text)
		}
	})
}

// TestRationOfJobs has a node that sends a thousand jobs a second, each of which is won at
// once, for machines and for people.
func TestRationOfJobs(t *testing.T) {
	for name, handler := range map[string]func(*bytes.Buffer) slog.Handler{
		"json": func(out *bytes.Buffer) slog.Handler { return ForMachines(out, slog.LevelInfo, false) },
		"text": func(out *bytes.Buffer) slog.Handler { return New(out, Options{}) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var out bytes.Buffer
				log := slog.New(Rationed(handler(&out)))
				long := strings.Repeat("0123456789abcdef", 8)
				for second := range 10 {
					out.Reset()
					for i := range 1000 {
						job := fmt.Sprintf("0123456789abcdef0123456789abcdef%d", i)
						log.Info("job started", "job", job, "engine", "cpu-simd", "header", long[:64], "threshold_bits", 500, "start", long, "end", long)
						log.Info("job completed", "job", job, "hashes", 1_000_000, "elapsed", time.Second, "hash_rate", 1e6, "nonce", long)
						<-time.After(time.Millisecond)
					}
					if out.Len() >= 5000 {
						t.Errorf("second %d: %d bytes", second, out.Len())
					}
					for _, line := range []string{"job started", "job completed"} {
						if second > 0 && name == "json" && strings.Count(out.String(), line) != 1 {
							t.Errorf("second %d: %d lines %s", second, strings.Count(out.String(), line), line)
						}
					}
				}
				if text := out.String(); !strings.Contains(text, `"jobs_omitted":999`) && !strings.Contains(text, "(999 jobs before it not shown)") {
					t.Errorf("nobody is told:\n%s", text)
				}
				out.Reset()
				<-time.After(time.Minute)
				log.Info("job started", "job", "a")
				log.Info("job started", "job", "b")
				if n := strings.Count(out.String(), "\n"); n != 2 {
					t.Errorf("%d of two lines are written later", n)
				}
			})
		})
	}
}

// TestLowered has lines of all levels, of which only what is worse than info is left, and
// a job that fails.
func TestLowered(t *testing.T) {
	for level, want := range map[slog.Level]string{
		slog.LevelInfo:  "job failed.warn.error.",
		slog.LevelDebug: "info.job failed.warn.error.",
	} {
		var out bytes.Buffer
		log := slog.New(Lowered(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: level, ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.MessageKey {
				out.WriteString(a.Value.String() + ".")
			}
			return slog.Attr{}
		}}), "job failed")).With("a", 1)
		log.Info("info")
		log.Info("job failed")
		log.Warn("warn")
		log.Error("error")
		if got := strings.ReplaceAll(out.String(), "\n", ""); got != want {
			t.Errorf("from %s: %s, want %s", level, got, want)
		}
	}
}
