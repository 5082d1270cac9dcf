package priority

import (
	"runtime"
	"testing"
)

// TestEnterGroup moves a thread into the first group, which every machine has, and fails
// to move it into one that none has.
func TestEnterGroup(t *testing.T) {
	sizes := processorGroups()
	if len(sizes) == 0 {
		t.Fatal("there is no group")
	}
	errs := make(chan error)
	go func() {
		runtime.LockOSThread() // for good: the thread ends with this goroutine
		errs <- enterGroup(0, sizes[0])
		errs <- enterGroup(maxGroups, 64)
	}()
	if err := <-errs; err != nil {
		t.Error(err)
	}
	if err := <-errs; err == nil {
		t.Error("there is a group that no machine has")
	}
}
