package priority

import "testing"

func TestClass(t *testing.T) {
	var c Class
	if c != Low {
		t.Errorf("the zero value is %v, want %v", c, Low)
	}
	for name, want := range map[string]Class{"idle": Idle, "low": Low, "normal": Normal} {
		if err := c.UnmarshalText([]byte(name)); err != nil || c != want {
			t.Errorf("%q is read as %v (%v), want %v", name, c, err, want)
		}
		if text, err := want.MarshalText(); err != nil || string(text) != name || want.String() != name {
			t.Errorf("%d is written %q (%v) and %q, want %q", want, text, err, want, name)
		}
	}

	const mustBe = "must be idle, low or normal"
	c = Idle
	for _, name := range []string{"", "Low", "low ", "high", "Class(3)", "0"} {
		if err := c.UnmarshalText([]byte(name)); err == nil || err.Error() != mustBe || c != Idle {
			t.Errorf("%q is read as %v, and the error is %v; want %v, as it was, and %s", name, c, err, Idle, mustBe)
		}
	}
	for _, c := range []Class{Low - 1, Normal + 1} {
		if _, err := c.MarshalText(); err == nil || err.Error() != mustBe {
			t.Errorf("the error of writing %v is %v, want %s", c, err, mustBe)
		}
	}
	if got, want := (Normal + 1).String(), "Class(3)"; got != want {
		t.Errorf("a class that there is not is shown as %q, want %q", got, want)
	}
}
