// Package e2e holds no code: its tests drive the real binary, alone, under load,
// for long, or with something going wrong around it, for nodes that they play
// themselves, and with the programs that operators look at it with, Chromium and a
// Prometheus server. Where these are missing the tests fail; CI installs them.
package e2e
