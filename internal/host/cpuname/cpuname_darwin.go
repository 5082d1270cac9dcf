package cpuname

import "golang.org/x/sys/unix"

// read asks the kernel.
func read() string {
	name, err := unix.Sysctl("machdep.cpu.brand_string")
	if err != nil {
		return ""
	}
	return name
}
