package console

import "strings"

// fleetComposers are those of a hub and of its workers.
var fleetComposers = map[string]func(f fields, past *lines) line{
	"mining for a hub": title,
	"machines join the fleet with this command, and with copies of these files": func(f fields, _ *lines) line {
		return line{label: "fleet", parts: []string{"join it with: " + f.text("command"), "and copies of " + strings.Trim(f.text("files"), "[]")}}
	},
	"the fleet has a hub": func(f fields, _ *lines) line {
		return line{label: "fleet", colour: green, parts: []string{"its hub is here", f.text("address")}}
	},
	"machine joins": func(f fields, _ *lines) line {
		l := line{label: f.text("machine"), colour: green, parts: []string{"joins"}}
		if asked := f.text("asked_for"); asked != f.text("machine") {
			l.say("there is another " + asked)
		}
		l.say(f.text("threads") + " threads")
		l.say(f.text("version"))
		return l
	},
	"machine is back":           func(f fields, _ *lines) line { return aboutMachine(f, green, "is back") },
	"machine left":              func(f fields, _ *lines) line { return line{label: f.text("machine"), parts: []string{"left"}} },
	"machine is gone":           func(f fields, _ *lines) line { return aboutMachine(f, yellow, "IS GONE") },
	"machine is slow":           func(f fields, _ *lines) line { return aboutMachine(f, yellow, "is slow") },
	"machine makes no progress": func(f fields, _ *lines) line { return aboutMachine(f, yellow, "makes no progress") },
	"machine unable to search":  func(f fields, _ *lines) line { return aboutMachine(f, yellow, "has nothing to search with") },
	"connected to the hub": func(f fields, _ *lines) line {
		return line{label: "hub", colour: green, parts: []string{f.text("hub"), "connected as " + f.text("name")}}
	},
	"cannot connect to the hub":    func(f fields, _ *lines) line { return lost(f, "hub", "cannot connect") },
	"connection to the hub lost":   func(f fields, _ *lines) line { return lost(f, "hub", "lost") },
	"no answer of the hub":         func(f fields, _ *lines) line { return lost(f, "hub", "no answer") },
	"machine is as fast as before": func(f fields, _ *lines) line { return aboutMachine(f, green, "is as fast as before") },
	"the hub has the winner": func(f fields, _ *lines) line {
		l := found(f)
		l.say("the hub has it")
		return l
	},
}

// aboutMachine is what happens to a machine of a fleet.
func aboutMachine(f fields, colour, what string) line {
	l := line{label: f.text("machine"), colour: colour, parts: []string{what}}
	l.say(f.text("reason"))
	return l
}
