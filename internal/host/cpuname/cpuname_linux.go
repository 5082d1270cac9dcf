package cpuname

import (
	"bufio"
	"io"
	"os"
	"strings"
)

// read takes the name that /proc/cpuinfo has of the first CPU.
func read() string {
	file, err := os.Open("/proc/cpuinfo")
	if err != nil {
		return ""
	}
	defer file.Close()
	return nameIn(file)
}

// maxFirst is more than what /proc/cpuinfo has of one CPU, in bytes.
const maxFirst = 64 << 10

// nameIn returns the name that a text like that of /proc/cpuinfo begins with.
func nameIn(text io.Reader) string {
	for lines := bufio.NewScanner(io.LimitReader(text, maxFirst)); lines.Scan(); {
		if key, name, _ := strings.Cut(lines.Text(), ":"); strings.TrimSpace(key) == "model name" {
			return name
		}
	}
	return ""
}
