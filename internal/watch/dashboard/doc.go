// Package dashboard is the page that shows people what a miner does, live: its
// hash rate, its threads, its jobs.
//
// [New] serves the page at /, which is one file that asks for nothing but the
// event stream at /events (events.go says what is in it). The page is built from
// its parts in _web, where "npm ci && npm run build" writes page.html.
package dashboard
