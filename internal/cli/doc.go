// Package cli is what a command line needs beyond its parser, kong: variables as people
// and programs set them, a configuration file, where each value is from, errors that say
// what to type instead, completions for shells, and manual pages. It works on kong's
// model of the command line and knows no flag by its name.
package cli
