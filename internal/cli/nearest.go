package cli

import "unicode/utf8"

// Nearest returns the name that somebody who typed text most likely meant, or "" if
// none is near: of every three characters one may be wrong.
func Nearest(text string, names []string) string {
	nearest, least := "", max(1, utf8.RuneCountInString(text)/3)+1
	for _, name := range names {
		if d := distance(text, name); d < least {
			nearest, least = name, d
		}
	}
	return nearest
}

// distance returns how many characters must be inserted, deleted or changed to make one
// text of another: the Levenshtein distance, row by row.
func distance(a, b string) int {
	to := []rune(b)
	row := make([]int, len(to)+1) // distances of what is read of a to each beginning of b
	for i := range row {
		row[i] = i
	}
	for _, r := range a {
		diagonal := row[0]
		row[0]++
		for i, c := range to {
			change := diagonal
			if r != c {
				change++
			}
			diagonal = row[i+1]
			row[i+1] = min(change, row[i+1]+1, row[i]+1)
		}
	}
	return row[len(to)]
}
