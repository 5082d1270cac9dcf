package access

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
)

// Text returns the text of a file as editors save it: without the byte order mark that
// some put in front. A file in UTF-16 is an error. No error quotes the text, which may be
// a secret.
func Text(content []byte) (string, error) {
	text := string(content)
	if strings.HasPrefix(text, "\xff\xfe") || strings.HasPrefix(text, "\xfe\xff") {
		return "", errors.New("is in UTF-16, as Windows saves text: save it as UTF-8")
	}
	return strings.TrimPrefix(text, "\ufeff"), nil
}

// Line returns a secret that is one line, such as a token, without the byte order mark in
// front and the white space around it. A second line is an error, and so is a character
// that cannot be seen: it would be sent and refused, and nobody would know why. No error
// quotes the secret.
func Line(content []byte) (string, error) {
	text, err := Text(content)
	if err != nil {
		return "", err
	}
	text = strings.TrimSpace(text)
	if strings.ContainsAny(text, "\r\n") {
		return "", errors.New("must be one line, and has more")
	}
	number := 0
	for _, r := range text {
		number++
		switch {
		case unicode.IsControl(r):
			return "", fmt.Errorf("must not have control characters: character %d is %U", number, r)
		case unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp):
			return "", fmt.Errorf("must not have characters that cannot be seen: character %d is %U", number, r)
		}
	}
	return text, nil
}

// ReadLine returns the secret in a file that has nothing else, as [Line] does. The file
// must be as [Read] wants files with secrets.
func ReadLine(path string, limit int64) (string, error) {
	content, err := Read(path, limit, SecretMode)
	if err != nil {
		return "", err
	}
	line, err := Line(content)
	if err != nil {
		return "", fmt.Errorf("%s: %w", path, err)
	}
	return line, nil
}
