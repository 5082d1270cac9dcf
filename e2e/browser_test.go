package e2e

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"github.com/quantus-network/quantus-miner/internal/simulate"
)

// tab is a tab of Chromium that shows the page of a miner.
type tab struct {
	ctx context.Context

	mu         sync.Mutex
	complaints []string // what should not have happened
	deaf       bool     // complaints are expected
}

// openPage opens the page of a miner in a Chromium of its own, which ends with
// the test. The test fails if the page writes an error or a warning to the
// console, breaks its Content-Security-Policy, opens a dialog, or asks for
// anything but itself, its events and the machines of a fleet.
func openPage(t *testing.T, m miner) *tab {
	t.Helper()
	chromium, err := exec.LookPath("chromium")
	if err != nil {
		t.Fatalf("this test wants Chromium (on Debian: apt-get install chromium): %v", err)
	}
	// Longer than any wait for what the page shows: this is for a browser that hangs.
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	t.Cleanup(cancel)
	// The defaults run it headless, and keep it from most of what it does on its
	// own account. The profile is a new one, and chromedp's to remove: it first ends
	// the processes that still write there, over which t.TempDir would stumble.
	ctx, cancel = chromedp.NewExecAllocator(ctx, append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(chromium),
		chromedp.NoSandbox, // CI may run as root, who cannot have one
		chromedp.DisableGPU,
		chromedp.Flag("disable-quic", true),
		chromedp.Flag("disable-component-update", true),
	)...)
	t.Cleanup(cancel)
	p := new(tab)
	p.ctx, cancel = chromedp.NewContext(ctx, chromedp.WithListener(func(event any) { p.listen(m.Monitor, event) }))
	t.Cleanup(cancel)
	t.Cleanup(func() { p.check(t) })
	if err := chromedp.Do(p.ctx, chromedp.Navigate(m.Monitor)); err != nil {
		t.Fatalf("opening the page: %v", err)
	}
	return p
}

// listen collects what should not happen on a page that the server at origin serves.
func (p *tab) listen(origin string, event any) {
	complaint := ""
	switch e := event.(type) {
	case *log.EventEntryAdded: // violations of the policy too
		if e.Entry.Level == log.EntryLevelError || e.Entry.Level == log.EntryLevelWarning {
			complaint = "log: " + e.Entry.Text + " " + e.Entry.URL
		}
	case *runtime.EventConsoleAPICalled: // the page has nothing to say there
		complaint = "console." + string(e.Type)
		for _, arg := range e.Args {
			complaint += " " + string(arg.Value) + arg.Description
		}
	case *runtime.EventExceptionThrown:
		complaint = (&chromedp.ExceptionError{ExceptionDetails: e.ExceptionDetails}).Error()
	case *page.EventJavascriptDialogOpening:
		complaint = "dialog: " + e.Message
	case *network.EventWebSocketCreated:
		complaint = "request: " + e.URL
	case *network.EventRequestWillBeSent:
		u, err := url.Parse(e.Request.URL)
		// The icon is a data URL.
		if own := err == nil && (u.Scheme == "data" || u.Scheme+"://"+u.Host == origin && (u.Path == "/" || u.Path == "/events" || u.Path == "/api/v1/machines")); !own {
			complaint = "request: " + e.Request.URL
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	// What happens again and again, as the page retries, need not be told twice.
	if complaint != "" && !p.deaf && !slices.Contains(p.complaints, complaint) {
		p.complaints = append(p.complaints, complaint)
	}
}

// check fails the test if anything happened that should not.
func (p *tab) check(t *testing.T) {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, complaint := range p.complaints {
		t.Errorf("the page should not have caused this: %s", complaint)
	}
	p.complaints = nil
}

// ignore has all that happens from here on pass.
func (p *tab) ignore() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.deaf = true
}

// do runs actions in the tab.
func (p *tab) do(t *testing.T, actions ...chromedp.Action[chromedp.Void]) {
	t.Helper()
	if err := chromedp.Do(p.ctx, actions...); err != nil {
		t.Fatal(err)
	}
}

// view is what the page shows.
type view struct {
	Connection  string    `json:"connection"`
	Rate        float64   `json:"rate"` // -1 if there is none yet
	Points      int       `json:"points"`
	Last        float64   `json:"last"`
	Threads     []float64 `json:"threads"` // how full the bars are, 0 to 1
	State       string    `json:"state"`
	Node        string    `json:"node"` // empty if it is hidden, and so are the next two
	Pool        string    `json:"pool"` // the same of a pool
	Accepted    string    `json:"accepted"`
	Hub         string    `json:"hub"`      // the same of a hub
	Machines    []string  `json:"machines"` // of a fleet: the name and the state of each
	MachinesOf  string    `json:"machinesOf"`
	Difficulty  string    `json:"difficulty"`
	TimeToBlock string    `json:"timeToBlock"`
	Found       string    `json:"found"`
	Winners     int       `json:"winners"`
	Title       string    `json:"title"`
	Completed   string    `json:"completed"`
	Cancelled   string    `json:"cancelled"`
	Note        string    `json:"note"` // empty if it is hidden
	Rows        []row     `json:"rows"`
	Alien       int       `json:"alien"` // elements among the jobs that the page did not make
	Width       int       `json:"width"` // of the page, in pixels
	Excess      int       `json:"excess"`
}

// row is a job on the page.
type row struct {
	Job         string `json:"job"`
	Status      string `json:"status"`
	Pill        string `json:"pill"` // the status, as a reader sees it
	ID          string `json:"id"`
	IDTitle     string `json:"idTitle"`
	ResultTitle string `json:"resultTitle"`
}

// is reports whether a row is that of a job, and has its status.
func (r row) is(job, status string) bool {
	return r.Job == job && r.Status == status && strings.EqualFold(r.Pill, status)
}

const readPage = `(() => {
	const $ = (selector, parent = document) => parent.querySelector(selector);
	const all = (selector, map) => Array.from(document.querySelectorAll(selector), map);
	const root = document.documentElement;
	return {
		connection: $("#connection").dataset.state,
		rate: Number($("#rate").dataset.value ?? -1),
		points: Number($("#curve").dataset.points ?? 0),
		last: Number($("#curve").dataset.last ?? -1),
		threads: all("#threads .thread .bar span", (bar) => Number(bar.style.getPropertyValue("--fill"))),
		state: $("#state-card").dataset.state,
		node: $("#node").hidden ? "" : $("#node-address").textContent,
		pool: $("#pool").hidden ? "" : $("#pool-url").textContent,
		accepted: $("#pool").hidden ? "" : $("#pool-accepted").textContent,
		hub: $("#hub").hidden ? "" : $("#hub-address").textContent,
		machines: $("#machines-card").hidden ? [] : all("#machines tbody tr", (tr) => $(".machine-name", tr).textContent + " " + $(".machine-state", tr).textContent),
		machinesOf: $("#machines-card").hidden ? "" : $("#machines-page").textContent,
		difficulty: $("#job").hidden ? "" : $("#difficulty").textContent,
		timeToBlock: $("#time-to-block").textContent,
		found: $("#found").textContent,
		winners: $("#winners tbody").rows.length,
		title: document.title,
		completed: $("#completed").textContent,
		cancelled: $("#cancelled").textContent,
		note: $("#jobs-note").hidden ? "" : $("#jobs-note").textContent,
		rows: all("#jobs tbody tr", (tr) => ({
			job: tr.dataset.job,
			status: tr.dataset.status,
			pill: $(".pill", tr).textContent,
			id: $(".job-id", tr).textContent,
			idTitle: $(".job-id bdi", tr).title,
			resultTitle: $(".job-result", tr).title,
		})),
		alien: all("#jobs tbody :not(tr, th, td, .pill, bdi)").length,
		width: root.clientWidth,
		excess: root.scrollWidth - root.clientWidth,
	};
})()`

// read returns what the page shows at the moment.
func (p *tab) read(t *testing.T) view {
	t.Helper()
	v, err := chromedp.Run(p.ctx, chromedp.Evaluate[view](readPage))
	if err != nil {
		t.Fatalf("reading the page: %v", err)
	}
	return v
}

// until waits until the page shows what it should, and returns that.
func (p *tab) until(t *testing.T, what string, yes func(view) bool) (v view) {
	t.Helper()
	defer func() {
		if t.Failed() {
			t.Logf("the page at last: %+v", v)
		}
	}()
	eventually(t, what, func() bool {
		v = p.read(t)
		return yes(v)
	})
	return v
}

// TestPage looks at the page from before the first job until jobs have ended in
// both ways.
func TestPage(t *testing.T) {
	m := startMiner(t, "--workers", "2", "--engine", "cpu-fast")
	p := openPage(t, m)
	idle := p.until(t, "the page is live, and there is nothing to show", func(v view) bool {
		return v.Connection == "live" && v.Rate == 0 && len(v.Rows) == 0 && strings.HasPrefix(v.Note, "No jobs yet")
	})

	// This one runs for as long as we look.
	m.mine(t, "endless", never)
	p.until(t, "a job runs, on both threads, and the curve moves", func(v view) bool {
		return len(v.Rows) == 1 && v.Rows[0].is("endless", "running") && v.Note == "" && v.Rate > 0 &&
			len(v.Threads) == 2 && v.Threads[0] > 0 && v.Threads[1] > 0 && v.Points > idle.Points && v.Last > 0
	})

	// As long as the first runs, the second has half of the workers' time: that it
	// is over before the page has seen it run would take a very fast machine.
	m.mine(t, "browser", soon)
	p.until(t, "two jobs run, the new one on top", func(v view) bool {
		return len(v.Rows) == 2 && v.Rows[0].is("browser", "running") && v.Rows[1].is("endless", "running")
	})
	m.cancel(t, "endless")
	p.until(t, "the first is cancelled", func(v view) bool {
		return len(v.Rows) == 2 && v.Rows[1].is("endless", "cancelled") && v.Cancelled == "1"
	})
	v := p.until(t, "the second is completed", func(v view) bool {
		return len(v.Rows) == 2 && v.Rows[0].is("browser", "completed") && v.Completed == "1"
	})
	if nonce := m.result(t, "browser").Nonce; nonce == nil || *nonce != v.Rows[0].ResultTitle {
		t.Errorf("the page has the nonce %q, the API %v", v.Rows[0].ResultTitle, nonce)
	}
	p.until(t, "the page is idle again", func(v view) bool { return v.Rate == 0 && v.Last == 0 && len(v.Rows) == 2 })

	m.mine(t, "6f1c4b0e-2a53-4c0e-9d3f-0b7d5a8f1e42", never) // named as nodes name them
	p.until(t, "there is something of everything", func(v view) bool { return len(v.Rows) == 3 && v.Rate > 0 && v.Last > 0 })
	for _, look := range []struct {
		name   string
		width  int
		height int
		scheme string
		more   []chromedp.EmulateViewportOption
	}{
		{"desktop", 1280, 900, "light", nil},
		{"desktop-dark", 1280, 900, "dark", nil},
		{"phone", 390, 844, "light", []chromedp.EmulateViewportOption{chromedp.EmulateMobile, chromedp.EmulateTouch}},
	} {
		t.Run(look.name, func(t *testing.T) {
			p.emulate(t, look.width, look.height, look.scheme, look.more...)
			p.photograph(t, look.name)
		})
	}
}

// emulate gives the page a screen, on which it must not scroll sideways.
func (p *tab) emulate(t *testing.T, width, height int, scheme string, more ...chromedp.EmulateViewportOption) {
	t.Helper()
	p.do(t, chromedp.EmulateViewport(int64(width), int64(height), more...))
	if _, err := chromedp.Call(p.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
	}); err != nil {
		t.Fatal(err)
	}
	// What is drawn, the curve, follows a moment later.
	p.until(t, fmt.Sprintf("on a screen %d pixels wide the page is as wide, and does not scroll sideways", width), func(v view) bool {
		return v.Width == width && v.Excess <= 0
	})
}

// photograph writes a picture of the whole page to a folder, if the environment
// variable SCREENSHOTS names one.
func (p *tab) photograph(t *testing.T, name string) {
	t.Helper()
	folder := os.Getenv("SCREENSHOTS")
	if folder == "" {
		return
	}
	png, err := chromedp.Run(p.ctx, chromedp.FullScreenshot(100))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, name+".png"), png, 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestPageShowsAnyJobID gives jobs IDs that would do something if the page, or
// the stream of its events, took them for more than text.
func TestPageShowsAnyJobID(t *testing.T) {
	m := startMiner(t, "--workers", "2", "--engine", "cpu-fast")
	p := openPage(t, m)
	ids := []string{
		`<img src=x onerror=alert(1)>`,
		`"><script>alert(2)</script>`,
		`</td></tr></table><svg onload=alert(3)>`,
		"a\n\nevent: state\ndata: {}\n\n",
		"a\u2028b\u202egnp.exe", // a line end to some, and then from right to left
		"__proto__",
		strings.Repeat("W", 49), // as long as is not shortened, and nowhere to break
	}
	for _, id := range ids {
		m.mine(t, id, always)
	}
	v := p.until(t, "all jobs are completed", func(v view) bool {
		for _, row := range v.Rows {
			if row.Status != "completed" {
				return false
			}
		}
		return len(v.Rows) == len(ids)
	})
	for i, row := range v.Rows {
		if want := ids[len(ids)-1-i]; row.Job != want || row.ID != want || row.IDTitle != want {
			t.Errorf("row %d is that of job %q, shows %q and has the title %q; want %q", i, row.Job, row.ID, row.IDTitle, want)
		}
	}
	if v.Alien != 0 {
		t.Errorf("there are %d elements among the jobs that should not be", v.Alien)
	}
	p.emulate(t, 390, 844, "light", chromedp.EmulateMobile)
}

// TestPageLosesTheMiner ends a miner under its page, and starts another at the
// same address.
func TestPageLosesTheMiner(t *testing.T) {
	first := startMiner(t, "--workers", "2", "--engine", "cpu-fast")
	p := openPage(t, first)
	live := func(v view) bool { return v.Connection == "live" }
	p.until(t, "the page is live", live)
	p.check(t)
	p.ignore() // Chromium logs each try to connect

	first.stop(t)
	p.until(t, "the page says that the connection is lost", func(v view) bool { return v.Connection == "lost" })
	// The port is free: a miner that ends stops listening before it closes pages.
	address, err := url.Parse(first.Monitor)
	if err != nil {
		t.Fatal(err)
	}
	startMiner(t, "--workers", "2", "--engine", "cpu-fast", "--metrics-port", address.Port())
	p.until(t, "the page is live again, by itself", live)
}

// TestPageOfConnect looks at the page of a miner that connects to a node: while the node
// has no job, while it works for it, and when the node is gone.
func TestPageOfConnect(t *testing.T) {
	n := playNode(t, simulate.Trouble{Quiet: true})
	m := connect(t, n)
	p := openPage(t, m)
	state := func(want string) func(view) bool {
		return func(v view) bool { return v.State == want && strings.Contains(v.Node, n.Address()) }
	}
	p.until(t, "the miner waits for a job", state("waiting"))
	p.look(t, "waiting")

	n.now(simulate.Trouble{})
	p.until(t, "it works, and there are winners", func(v view) bool {
		return state("working")(v) && v.Winners > 0 && v.Found != "0" && v.Rate > 0 && strings.HasSuffix(v.Title, "H/s – quantus-miner")
	})
	n.now(simulate.Trouble{Impossible: true})
	p.until(t, "there is something of everything", func(v view) bool {
		return state("working")(v) && v.Difficulty != "" && v.TimeToBlock != "–" && v.Last > 0
	})
	p.look(t, "working")

	n.SwitchOff()
	p.until(t, "the node is lost", func(v view) bool { return state("not_connected")(v) && v.Difficulty == "" })
	p.look(t, "lost")
}

// TestPageOfPool looks at the page of a miner that works for a pool, and when the pool is gone.
func TestPageOfPool(t *testing.T) {
	pool := playPool(t)
	m := minePool(t, pool)
	p := openPage(t, m)
	p.until(t, "it works, and shares are accepted", func(v view) bool {
		return v.State == "working" && strings.Contains(v.Pool, pool.Address()) && v.Node == "" && v.Accepted != "0" && v.Winners > 0 && v.Difficulty != ""
	})
	p.look(t, "pool")
	pool.Close()
	p.until(t, "the pool is lost", func(v view) bool {
		return v.State == "not_connected" && strings.Contains(v.Pool, pool.Address()) && v.Difficulty == ""
	})
	p.look(t, "pool-lost")
}

// look has the page on screens of two sizes, light and dark.
func (p *tab) look(t *testing.T, name string) {
	t.Helper()
	for _, scheme := range []string{"light", "dark"} {
		p.emulate(t, 1280, 900, scheme)
		p.photograph(t, name+"-1280-"+scheme)
		p.emulate(t, 390, 844, scheme, chromedp.EmulateMobile, chromedp.EmulateTouch)
		p.photograph(t, name+"-390-"+scheme)
	}
}
