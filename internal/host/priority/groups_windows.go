package priority

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/windows"
)

var (
	kernel32                   = windows.NewLazySystemDLL("kernel32.dll")
	procGetProcessAffinityMask = kernel32.NewProc("GetProcessAffinityMask")
	procSetThreadGroupAffinity = kernel32.NewProc("SetThreadGroupAffinity")
)

// maxGroups is more than there are in any Windows; a group has 64 CPUs at most.
const maxGroups = 64

// processorGroups returns how many CPUs each processor group has, or nil if the process
// is to stay in the one where it is.
func processorGroups() (sizes []int) {
	// Both masks are of the process's group. They are 0 if it has threads in several,
	// and then it was not kept to some CPUs of one.
	var process, system uintptr
	ok, _, _ := procGetProcessAffinityMask.Call(uintptr(windows.CurrentProcess()),
		uintptr(unsafe.Pointer(&process)), uintptr(unsafe.Pointer(&system)))
	if ok == 0 || process != system {
		return nil
	}
	for group := range uint16(maxGroups) {
		n := windows.GetActiveProcessorCount(group)
		if n == 0 { // there is no such group
			break
		}
		sizes = append(sizes, int(n))
	}
	return sizes
}

// groupAffinity is GROUP_AFFINITY of winnt.h: CPUs of one group.
type groupAffinity struct {
	mask     uintptr // KAFFINITY: a bit for each CPU
	group    uint16
	reserved [3]uint16
}

// enterGroup moves the calling thread into a group, which has so many CPUs: it may use
// all of them.
func enterGroup(group, size int) error {
	if err := procSetThreadGroupAffinity.Find(); err != nil {
		return err
	}
	// A shift by 64 makes 0, and 0 - 1 is all of them.
	to := groupAffinity{mask: 1<<size - 1, group: uint16(group)}
	ok, _, err := procSetThreadGroupAffinity.Call(uintptr(windows.CurrentThread()), uintptr(unsafe.Pointer(&to)), 0)
	if ok == 0 {
		return fmt.Errorf("SetThreadGroupAffinity: %w", err)
	}
	return nil
}
