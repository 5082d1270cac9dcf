package stratum

import (
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestAdvice has the user warned, and not more often than needed.
func TestAdvice(t *testing.T) {
	for name, row := range map[string]struct {
		play func(a *advice)
		want []string
	}{
		"few are refused": {func(a *advice) {
			for i := range 1000 {
				if i%20 == 19 {
					a.settled(Stale, "stale")
				} else {
					a.settled(Accepted, "")
				}
			}
		}, nil},
		"too few to know": {func(a *advice) {
			for range fewShares - 1 {
				a.settled(Stale, "stale")
			}
		}, nil},
		"many are refused": {func(a *advice) {
			for i := range 1000 {
				<-time.After(time.Second)
				if i%10 == 0 {
					a.settled(Duplicate, "seen it")
				} else {
					a.settled(Accepted, "")
				}
			}
		}, []string{`msg="shares are refused" percent=`, `mostly=duplicate reason="seen it"`, "2 lines"}},
		"bad luck": {func(a *advice) {
			a.begin(1000)
			a.look(9000, "p", true)
		}, nil},
		"no bad luck": {func(a *advice) {
			a.begin(1000)
			for i := range 27 {
				<-time.After(lookInterval)
				a.look(uint64(i)*700, "p", true)
			}
		}, []string{`expected=9.8 found=0 advice="the miner finds nothing`, "1 lines"}},
		"found, and not accepted": {func(a *advice) {
			a.begin(1000)
			a.settled(Unacknowledged, "")
			a.searched(5000)
			a.begin(500)
			a.look(2200, "p", true)
		}, []string{`expected=9.4 found=1 advice="shares are found`, "1 lines"}},
		"an accepted one": {func(a *advice) {
			a.begin(1000)
			a.look(9000, "p", true)
			a.settled(Accepted, "")
			a.look(18000, "p", true)
		}, nil},
		"slow": {func(a *advice) {
			a.begin(3_600_000)
			for i := range 100 {
				<-time.After(time.Minute)
				a.look(uint64(i+1)*50_000, "p", true)
			}
		}, []string{"less than a share an hour", "hours_a_share=1.2", "2 lines"}},
		"after a pause": {func(a *advice) {
			for range 100 {
				a.interrupted()
				<-time.After(time.Minute)
				a.look(0, "p", false)
				<-time.After(59 * time.Second)
				a.begin(3_600_000)
				<-time.After(time.Second)
				a.look(1100, "p", true) // a second's work in a minute
				<-time.After(time.Minute)
				a.look(67_100, "p", true)
				a.settled(Accepted, "")
			}
		}, nil},
		"fast enough": {func(a *advice) {
			a.begin(3_600_000)
			for i := range 100 {
				<-time.After(time.Minute)
				a.look(uint64(i+1)*70_000, "p", true)
			}
		}, nil},
		"paused": {func(a *advice) {
			a.begin(3_600_000)
			for range 100 {
				<-time.After(time.Minute)
				a.look(0, "p", true)
			}
		}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				log := new(locked)
				row.play(newAdvice(slog.New(slog.NewTextHandler(log, nil))))
				text := log.String()
				if row.want == nil && text != "" {
					t.Errorf("it is warned:\n%s", text)
				}
				for _, want := range row.want {
					if n, counts := strings.CutSuffix(want, " lines"); counts {
						if got := strings.Count(text, "\n"); n != string(rune('0'+got)) {
							t.Errorf("%d lines, want %s:\n%s", got, n, text)
						}
					} else if !strings.Contains(text, want) {
						t.Errorf("there is no %s in\n%s", want, text)
					}
				}
			})
		})
	}
}
